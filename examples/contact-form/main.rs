//! A contact form that loses no mail: what is written is stored, sent through Amazon SES in order, and held while the
//! domain's DKIM records are missing or SES refuses. The README beside this file says how to run it.

mod form;
mod guard;
mod limits;
mod message;
mod outbox;
mod page;
mod sender;
mod ses;
mod settings;

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;
use futures_util::StreamExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::form::Desk;
use crate::limits::Limits;
use crate::outbox::{Outbox, SoleSender};
use crate::sender::Sender;
use crate::ses::{LONGEST_CALL, Ses};
use crate::settings::Settings;

/// How long forms that are being sent are waited for at the end.
const LAST_FORMS: Duration = Duration::from_secs(5);
/// How long a call of SES, and the note of what came of it, is waited for at the end.
const LAST_MAIL: Duration = LONGEST_CALL.saturating_add(Duration::from_secs(5));

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [] => serve().await,
        ["outbox"] => list().await,
        ["again", number] => decide(number, true).await,
        ["forget", number] => decide(number, false).await,
        _ => Err("usage: contact-form [outbox | again NUMBER | forget NUMBER]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Serves the form and sends what comes, until SIGTERM or SIGINT.
async fn serve() -> Result<(), Box<dyn Error>> {
    let settings = Settings::from_env()?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let sole = SoleSender::of(&settings.outbox).map_err(without_send)?;
    let outbox = Outbox::open(&settings.outbox).map_err(without_send)?;
    for number in outbox.find_unsure().await.map_err(without_send)? {
        log(&format!(
            "message {number} is set aside, SES may have it or not: the program was killed while it was sent"
        ));
    }
    let guard = Arc::new(guard::watch(&settings).await?);
    let mut alerts = guard.alerts();
    tokio::spawn(async move {
        while let Some(alert) = alerts.next().await {
            log(&format!("{}: {}", alert.event, alert.summary));
        }
    });

    let (stop, stopped) = watch::channel(false);
    let (sending, sends) = watch::channel(());
    let sender = Sender {
        outbox: outbox.clone(),
        ses: Ses::from_env(&settings.from, &settings.to, &settings.domain.to_string()).await,
        guard: Arc::clone(&guard),
        domain: settings.domain.clone(),
        pause: settings.retry,
    };
    let sender = tokio::spawn({
        let stopped = stopped.clone();
        async move {
            let _sends = sends;
            sender.run(stopped).await;
        }
    });

    let desk = Desk {
        outbox,
        guard: Arc::clone(&guard),
        domain: settings.domain,
        limits: Limits::new(settings.per_client, settings.per_minute),
        client_header: settings.client_header,
        sending,
    };
    let listener = TcpListener::bind(settings.listen).await?;
    log(&format!("listening on http://{}", listener.local_addr()?));
    let mut until = stopped;
    let app = form::routes(desk).into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async move {
        // Whoever can no longer say so has gone.
        let _ = until.wait_for(|&stop| stop).await;
    });
    let server = tokio::spawn(server.into_future());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    log("ending");
    stop.send_replace(true);
    let _ = timeout(LAST_FORMS, server).await;
    if timeout(LAST_MAIL, sender).await.is_err() {
        log("the end of a call of SES was not waited for");
    }
    if let Some(guard) = Arc::into_inner(guard) {
        guard.stop().await;
    }
    drop(sole);
    Ok(())
}

/// Lists what isn't sent.
async fn list() -> Result<(), Box<dyn Error>> {
    let outbox = Outbox::open(&Settings::outbox()?).map_err(without_send)?;
    let mut output = std::io::stdout().lock();
    for line in outbox.list().await.map_err(without_send)? {
        writeln!(output, "{line}")?;
    }
    Ok(())
}

/// Decides about a message that was set aside: to be sent again, or to be forgotten.
async fn decide(number: &str, is_wanted: bool) -> Result<(), Box<dyn Error>> {
    let outbox = Outbox::open(&Settings::outbox()?).map_err(without_send)?;
    let number = number.parse()?;
    let decided = if is_wanted { outbox.send_again(number).await } else { outbox.forget(number).await };
    if decided.map_err(without_send)? {
        return Ok(());
    }
    Err(format!("message {number} is not one that was set aside").into())
}

/// Writes a line for who runs the form. It never holds what a visitor wrote.
fn log(line: &str) {
    // Nobody may read it any more.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A random number that nobody can guess.
fn random() -> u64 {
    let mut octets = [0; 8];
    rand::fill(&mut octets).expect("the operating system gives random numbers");
    u64::from_ne_bytes(octets)
}

fn without_send(error: Box<dyn Error + Send + Sync>) -> Box<dyn Error> {
    error
}
