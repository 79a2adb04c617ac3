//! `dkimguard notice`: what AWS's mail says, and with `--check` what the domain's records say now.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read};
use std::path::Path;

use dkimguard_core::notice::{MAX_OCTETS, Notice, Stage};
use dkimguard_core::ports::{Clock as _, SystemClock};

use crate::failure::{Code, Failure};
use crate::render::Renderer;
use crate::settings::{Regions, Settings, Source, Verbosity};
use crate::value::Region;

/// The file name that stands for standard input.
const STDIN: &str = "-";

/// Reads the notice, prints it, and gives it back. A closed pipe on standard output is no error.
///
/// # Errors
/// A file that can't be read, a text that is no notice, an output that can't be written.
pub(crate) fn run(file: Option<&Path>, renderer: &mut Renderer) -> Result<Notice, Failure> {
    let file = file.filter(|file| *file != Path::new(STDIN));
    let place = file.map_or_else(|| "standard input".to_owned(), |file| file.display().to_string());
    if file.is_none() && io::stdin().is_terminal() {
        renderer.note(Verbosity::Normal, || {
            "reading the notice from standard input; it ends with Ctrl-D on a line of its own".to_owned()
        });
    }
    let octets = read(file).map_err(|error| {
        Failure::new(Code::NoticeFile, format!("{place}: the notice cannot be read: {error}"))
            .with_hint("name a file with the mail or its text, or pipe it in")
    })?;
    let notice = Notice::read(&octets).map_err(|why| {
        Failure::new(Code::NotANotice, format!("{place}: this is not read as a notice: {why}"))
            .with_hint("give the mail as it came (save it as .eml), or the text of its sentences")
    })?;
    match renderer.notice(&notice, SystemClock.now()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Code::Output, format!("cannot write to standard output: {error}"))
                .with_hint("is there room where the output goes?"))
        }
        _ => Ok(notice),
    }
}

/// What a check of the notice's domain is to do: as the options say, in the notice's region where they name none.
pub(crate) fn check_of(notice: &Notice, mut settings: Settings) -> Settings {
    settings.domains = vec![notice.domain.clone()];
    let region = notice.region.as_deref().and_then(|region| region.parse::<Region>().ok());
    if let (Source::Ses { regions: regions @ Regions::Configured, .. }, Some(region)) =
        (&mut settings.source, region)
    {
        *regions = Regions::Named(vec![region]);
    }
    settings
}

/// The exit code.
pub(crate) fn exit_status(stage: Stage) -> u8 {
    match stage {
        Stage::Cancelled | Stage::Succeeded => 0,
        Stage::Warning => 1,
        // Whatever AWS may tell of beside these is no good news either.
        _ => 2,
    }
}

/// The octets of the notice: one more than there may be is enough to see that it is too large.
fn read(file: Option<&Path>) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    let limit = MAX_OCTETS as u64 + 1;
    match file {
        Some(file) => File::open(file)?.take(limit).read_to_end(&mut octets)?,
        None => io::stdin().lock().take(limit).read_to_end(&mut octets)?,
    };
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command, Parsed, parse};
    use crate::settings::Layers;

    const TEXT: &[u8] = b"DKIM setup SUCCESS for example.com in Europe (Ireland) region";

    fn source(flags: &[&str]) -> Source {
        let line = ["dkimguard", "notice"].iter().chain(flags).map(Into::into).collect::<Vec<_>>();
        let Ok(Parsed::Run(Args { command: Command::Notice(flags) })) = parse(&line) else {
            panic!("it is a good line: {flags:?}");
        };
        let layers = Layers::load(&flags.options, &|_| None).expect("no file");
        let settings = layers.settings(&[]).expect("they are sound");
        check_of(&Notice::read(TEXT).expect("a notice"), settings).source
    }

    #[test]
    fn the_region_of_the_notice_counts_where_none_is_given() {
        let named = |region: &str| Regions::Named(vec![region.parse().expect("a region")]);
        for (flags, regions) in [
            (&[][..], named("eu-west-1")),
            (&["--region", "us-east-1"], named("us-east-1")),
            (&["--all-regions"], Regions::All),
        ] {
            assert_eq!(source(flags), Source::Ses { regions, roles: Vec::new() }, "{flags:?}");
        }
        assert!(matches!(source(&["--source", "file:x.toml"]), Source::File(_)));
    }
}
