//! Looking at a run and taking it elsewhere.

use clap::{Args, ValueEnum};
use std::net::IpAddr;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf export ./out --format csv -o trials.csv
  bomf export ./out --format optuna-journal -o study.log

A journal holds a study `stage1` (hyperparameters) and a study `stage2` (the members' weights
w_0, w_1, ...; every objective):
  storage = JournalStorage(JournalFileBackend(\"study.log\"))
  optuna.load_study(study_name=\"stage1\", storage=storage)

A run need not have ended: what it has come to by now is exported.")]
pub struct ExportArgs {
    /// Output folder of a run
    #[arg(value_name = "DIR")]
    pub out: PathBuf,
    /// How it is written
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: ExportFormat,
    /// The file to write [default: standard output]
    #[arg(long, short = 'o', value_name = "FILE")]
    pub to: Option<PathBuf>,
}

/// How a run is exported
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    // One table; the column `record` says what a row is
    Csv,
    // Everything, nested
    Json,
    // A journal file that Optuna 4 and later load
    OptunaJournal,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf serve ./out
  bomf serve ./out --port 8080
  bomf serve ./out --host 0.0.0.0

The page shows a run before it begins, while it works, after it was killed, and when it has
ended, and changes nothing. It is for this machine alone unless --host gives another address:
then who opens it needs the token in the address that is printed. Ctrl-C ends it.")]
pub struct ServeArgs {
    /// Output folder of a run
    #[arg(value_name = "DIR")]
    pub out: PathBuf,
    /// Port; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 7171)]
    pub port: u16,
    /// Address to listen on; other than this machine's own, it takes a token
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub host: IpAddr,
    /// A name under which the page may be opened, beside addresses and localhost
    #[arg(long, value_name = "NAME")]
    pub allow_name: Vec<String>,
}
