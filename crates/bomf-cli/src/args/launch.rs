//! Starting workers on a cluster.

use clap::{Args, Subcommand};
use std::path::PathBuf;

const LAUNCH_HELP: &str = "\
Examples:
  bomf launch slurm postgresql://me@host/database?study=mrpc --workers 8 --cpus 4 --time 4:00:00
  bomf launch ray postgresql://me@host/database?study=mrpc --workers 8 --cpus 4
  bomf launch kubernetes URL --workers 8 --image registry/bomf:1 | kubectl apply -f -

The run that they help is begun with --remote-workers and --storage. Each worker trains trials
until there are no more.";

#[derive(Debug, Args)]
#[command(after_help = LAUNCH_HELP)]
pub struct LaunchArgs {
    #[command(subcommand)]
    pub launcher: Launcher,
}

/// Where workers are started
#[derive(Debug, Subcommand)]
pub enum Launcher {
    /// As an array job of Slurm's, submitted with sbatch
    Slurm(LaunchSlurmArgs),
    /// As jobs of a Ray cluster, by the REST interface of its dashboard
    Ray(LaunchRayArgs),
    /// Print the manifest of a Kubernetes Job, for kubectl apply
    Kubernetes(LaunchKubernetesArgs),
}

/// What is started, wherever
#[derive(Debug, Args)]
pub struct CrewArgs {
    /// Where the run's study is, or the run's output folder
    #[arg(value_name = "URL|DIR")]
    pub study: String,
    /// How many workers
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub workers: usize,
    /// Cores of each, which trains with so many threads unless --threads is given
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub cpus: usize,
    /// Memory of each, such as 512M or 16G
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Graphics cards of each, for a training program that uses them
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub gpus: usize,
    /// What the jobs are called [default: bomf- and the study's name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The model, where it has another name there than the run's
    #[arg(long, value_name = "DIR|hf:NAME")]
    pub model: Option<String>,
    /// The folder of the data, where it is another one there
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf launch slurm postgresql://me@host/database?study=mrpc --workers 8 --cpus 4 --time 4:00:00
  bomf launch slurm ./out --workers 8 -- --account=lab --output=logs/%A_%a.log
  bomf launch slurm ./out --workers 8 --dry-run > workers.sbatch

Each worker is a task of one array job, whose number is printed. A minute before its time limit a
worker gives its trial back, and its task goes into the queue again; as it does when its node dies.
The limit must be longer than a trial takes. A password in the URL or in PGPASSWORD goes with the
environment of the job.")]
pub struct LaunchSlurmArgs {
    #[command(flatten)]
    pub crew: CrewArgs,
    /// The program bomf on the nodes [default: this program]
    #[arg(long, value_name = "PATH")]
    pub bomf: Option<String>,
    /// Time limit, as Slurm writes it [default: the partition's]
    #[arg(long, value_name = "TIME")]
    pub time: Option<String>,
    /// Partition [default: Slurm's]
    #[arg(long, value_name = "NAME")]
    pub partition: Option<String>,
    /// Print the script, and submit nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Further options of sbatch
    #[arg(last = true, value_name = "SBATCH OPTION")]
    pub options: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf launch ray postgresql://me@host/database?study=mrpc --workers 8 --cpus 4
  bomf launch ray ./out --workers 8 --address http://head:8265 --bomf /opt/bin/bomf

Each worker is a job, whose number is printed. RAY_AUTH_TOKEN is the token of a cluster that asks
for one. A password in the URL or in PGPASSWORD goes with the environment of the jobs, which Ray
shows on its dashboard; set PGPASSWORD where Ray is started, and give none here, to avoid that.")]
pub struct LaunchRayArgs {
    #[command(flatten)]
    pub crew: CrewArgs,
    /// The program bomf on the cluster's hosts [default: this program]
    #[arg(long, value_name = "PATH")]
    pub bomf: Option<String>,
    /// Address of Ray's dashboard [default: RAY_API_SERVER_ADDRESS, RAY_ADDRESS or
    /// http://127.0.0.1:8265]
    #[arg(long, value_name = "URL")]
    pub address: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bomf launch kubernetes URL --workers 8 --cpus 4 --memory 8G --image registry/bomf:1 \\
      --claim models:/models:ro --claim data:/data:ro --model /models/base --data /data/mrpc \\
      --secret database | kubectl apply -f -

Needs Kubernetes 1.29 or later, and no access to it. A password is never in the manifest: put it
into a secret with `kubectl create secret generic database --from-literal=password=...`.")]
pub struct LaunchKubernetesArgs {
    #[command(flatten)]
    pub crew: CrewArgs,
    /// Container image that has bomf
    #[arg(long, value_name = "IMAGE")]
    pub image: String,
    /// The program bomf in the image
    #[arg(long, value_name = "PATH", default_value = "bomf")]
    pub bomf: String,
    /// Mount a persistent volume claim, with :ro at its end to read only
    #[arg(long, value_name = "NAME:/PATH")]
    pub claim: Vec<String>,
    /// The secret with the database's password [default key: password]
    #[arg(long, value_name = "NAME[/KEY]")]
    pub secret: Option<String>,
}
