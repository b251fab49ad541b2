//! The command line of bomf: arguments, printing and exit codes, no algorithm.

mod args;
mod commands;
mod failure;
mod interrupt;
mod lines;
mod output;
mod progress;
mod summary;
mod table;

use args::{Cli, Global, OutputFormat};
use clap::Parser;
use commands::Context;
use failure::Failure;
use indicatif::MultiProgress;
use progress::{Progress, Style};
use std::io::IsTerminal;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

/// Exit code for wrong usage or input.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let bars = MultiProgress::new();
    log(&cli.global, &bars);
    let style = match (cli.global.quiet, std::io::stderr().is_terminal()) {
        (true, _) => Style::Quiet,
        (false, true) => Style::Bars,
        (false, false) => Style::Lines,
    };
    let stop = interrupt::listen(&bars);
    let mut context = Context {
        global: &cli.global,
        progress: Progress::new(style, bars, stop),
    };
    let run = AssertUnwindSafe(|| commands::dispatch(cli.command, &mut context));
    let outcome = std::panic::catch_unwind(run).unwrap_or(Err(Failure::Bug));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::error(
                cli.global.output_format,
                &failure.message(),
                failure.hint().as_deref(),
            );
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Help and version go to stdout; what is wrong with the arguments to stderr, as
/// JSON where the arguments ask for it, even though they are wrong.
fn usage(error: &clap::Error) -> ExitCode {
    let mut words = std::env::args();
    let is_json = std::env::args().any(|word| word == "--output-format=json")
        || (words.any(|word| word == "--output-format") && words.next().as_deref() == Some("json"));
    if !error.use_stderr() || !is_json {
        let _ = error.print();
    } else {
        let text = error.render().to_string();
        let message = text.strip_prefix("error: ").unwrap_or(&text);
        let message = message.split("\n\n").next().unwrap_or(message);
        output::error(
            OutputFormat::Json,
            message.trim_end(),
            Some("see bomf --help"),
        );
    }
    match error.use_stderr() {
        true => ExitCode::from(USAGE),
        false => ExitCode::SUCCESS,
    }
}

/// Sends the log to stderr, between the bars. `RUST_LOG` has the last word.
fn log(global: &Global, bars: &MultiProgress) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "bomf=info,warn",
        (false, 2) => "bomf=debug,info",
        (false, _) => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let bars = bars.clone();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .with_writer(move || Between(bars.clone()))
        .init();
}

/// A writer of log lines that holds the bars back meanwhile.
struct Between(MultiProgress);

impl std::io::Write for Between {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.0.suspend(|| output::line(text.trim_end_matches('\n')));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
