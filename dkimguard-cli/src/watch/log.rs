//! [`Log`]: what is logged, to standard error, and how that is changed while the watch runs.

use std::io;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::settings::LogSettings;
use crate::failure::{Code, Failure, chain};
use crate::settings::Verbosity;
use crate::value::LogFormat;

type Form = Box<dyn Layer<Filtered> + Send + Sync>;
type Filtered = tracing_subscriber::layer::Layered<reload::Layer<Targets, Registry>, Registry>;

/// The log of this process.
pub(crate) struct Log {
    filter: reload::Handle<Targets, Registry>,
    form: reload::Handle<Form, Filtered>,
}

impl Log {
    /// Begins to log. Only what this program itself has to say is logged: what its libraries say isn't meant for whoever
    /// runs it, and nobody has looked for secrets in it.
    ///
    /// # Errors
    /// The process logs already.
    pub(crate) fn start(settings: LogSettings) -> Result<Self, Failure> {
        let (filter, filter_handle) = reload::Layer::new(filter(settings));
        let (form, form_handle) = reload::Layer::new(form(settings));
        tracing_subscriber::registry().with(filter).with(form).try_init().map_err(|error| {
            Failure::new(Code::System, format!("the log cannot be set up: {}", chain(&error)))
        })?;
        Ok(Self { filter: filter_handle, form: form_handle })
    }

    /// Logs so from now on.
    pub(crate) fn change(&self, settings: LogSettings) {
        // It fails only where the subscriber is gone, and that lives as long as the process.
        let _ = self.filter.reload(filter(settings));
        let _ = self.form.reload(form(settings));
    }
}

fn filter(settings: LogSettings) -> Targets {
    let level = match settings.verbosity {
        Verbosity::Quiet => Level::WARN,
        Verbosity::Normal => Level::INFO,
        Verbosity::Steps | Verbosity::Questions => Level::DEBUG,
    };
    Targets::new().with_target(env!("CARGO_CRATE_NAME"), level)
}

fn form(settings: LogSettings) -> Form {
    // Whoever closes standard error doesn't want to know; the library's own complaint about that would be a panic.
    let form =
        fmt::layer().with_writer(io::stderr).with_target(false).with_ansi(false).log_internal_errors(false);
    match settings.format {
        LogFormat::Text => Box::new(form),
        LogFormat::Json => {
            Box::new(form.json().flatten_event(true).with_current_span(false).with_span_list(false))
        }
    }
}
