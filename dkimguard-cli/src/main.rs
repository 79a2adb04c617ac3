//! `dkimguard`: says whether a domain's DKIM records are what Amazon SES needs, seen from every name server and
//! through several resolvers. The work is done by the library; this is arguments in, reports out.

mod args;
mod check;
mod config;
mod demo;
mod engine;
mod explain;
mod failure;
mod notice;
mod premise;
mod progress;
mod render;
mod repair;
mod settings;
mod source;
mod state;
mod value;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use dkimguard_core::judge::Verdict;
use tokio::runtime::Runtime;

use crate::args::{Args, CheckOptions, Command, Demo, Explain, Parsed};
use crate::failure::{Code, Failure};
use crate::render::Renderer;
use crate::repair::{Earlier, RepairSettings};
use crate::settings::{Layers, Output};
use crate::state::State;
use crate::value::Interval;

fn main() -> ExitCode {
    let line: Vec<OsString> = std::env::args_os().collect();
    let environment = |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
    // Until the options are understood, this is how their refusal is told.
    let mut renderer = Renderer::new(Output::guess(&line, &environment));
    match run(&line, &environment, &mut renderer) {
        Ok(code) => code,
        Err(failure) => {
            renderer.failure(&failure);
            exit_code(Verdict::Unknown)
        }
    }
}

fn run(
    line: &[OsString],
    environment: &dyn Fn(&str) -> Option<String>,
    renderer: &mut Renderer,
) -> Result<ExitCode, Failure> {
    match args::parse(line)? {
        Parsed::Show(text) => {
            // Whoever closed the pipe has read enough.
            let _ = renderer.print(&text);
            Ok(ExitCode::SUCCESS)
        }
        Parsed::Run(Args { command: Command::Check(flags) }) => {
            let layers = Layers::load(&flags.options, environment)?;
            *renderer = Renderer::new(layers.output()?);
            let settings = layers.settings_supposing(&flags.domains, &flags.premise)?;
            runtime()?.block_on(check::run(&settings, renderer)).map(exit_code)
        }
        Parsed::Run(Args { command: Command::Explain(Explain { codes, list: _, output }) }) => {
            // Of a check's options, an explanation has those on output.
            let flags = CheckOptions { output, ..CheckOptions::default() };
            *renderer = Renderer::new(Layers::load(&flags, environment)?.output()?);
            explain::run(&codes, renderer)?;
            Ok(ExitCode::SUCCESS)
        }
        Parsed::Run(Args { command: Command::Demo(Demo { output }) }) => {
            // Of a check's options, the demo has those on output.
            let flags = CheckOptions { output, ..CheckOptions::default() };
            *renderer = Renderer::new(Layers::load(&flags, environment)?.output()?);
            runtime()?.block_on(demo::run(renderer))?;
            Ok(ExitCode::SUCCESS)
        }
        Parsed::Run(Args { command: Command::Repair(flags) }) => {
            let layers = Layers::load(&flags.options, environment)?;
            *renderer = Renderer::new(layers.output()?);
            let wait = layers.one("wait", flags.wait.as_deref(), None)?;
            let settings = RepairSettings {
                settings: layers.settings(std::slice::from_ref(&flags.domain))?,
                mode: RepairSettings::mode(&flags),
                wait: wait.map(|Interval(wait)| wait),
                earlier: if flags.remove_old { Earlier::Remove } else { Earlier::Keep },
                public_key: flags.public_key.clone(),
                state: State::settle(flags.state.as_deref(), &layers)?,
            };
            runtime()?.block_on(repair::run(&settings, renderer))
        }
        Parsed::Run(Args { command: Command::Watch(flags) }) => {
            // Standard output is for alerts.
            *renderer = Renderer::new(Output::default());
            let runtime = runtime()?;
            let outcome = runtime.block_on(watch::run(*flags, environment));
            // What blocks a thread, a pipe that nobody reads say, doesn't keep the process from ending.
            runtime.shutdown_background();
            outcome
        }
        Parsed::Run(Args { command: Command::Notice(flags) }) => {
            let layers = Layers::load(&flags.options, environment)?;
            *renderer = Renderer::new(layers.output()?);
            let settings = layers.settings(&[])?;
            let notice = notice::run(flags.file.as_deref(), renderer)?;
            if !flags.check {
                return Ok(ExitCode::from(notice::exit_status(notice.stage)));
            }
            let settings = notice::check_of(&notice, settings);
            runtime()?.block_on(check::run(&settings, renderer)).map(exit_code)
        }
    }
}

/// One thread: the work is waiting for the network, and a thread more is memory more.
fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::new(Code::System, format!("the operating system refuses what waiting needs: {error}"))
    })
}

fn exit_code(verdict: Verdict) -> ExitCode {
    ExitCode::from(exit_status(verdict))
}

/// The convention of monitoring plugins.
fn exit_status(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Healthy => 0,
        Verdict::Degraded => 1,
        Verdict::Failing => 2,
        Verdict::Unknown => 3,
    }
}
