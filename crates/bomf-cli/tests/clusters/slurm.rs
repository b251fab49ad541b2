//! Slurm on one node: its controller, its daemon, and munge, by which they know each other.

use super::{Service, free_ports, program};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAMS: [&str; 6] = [
    "munged",
    "slurmctld",
    "slurmd",
    "sbatch",
    "scancel",
    "scontrol",
];

/// A cluster of one node, which ends with it.
pub struct Slurm {
    conf: PathBuf,
    // Ended in this order, the folder last.
    _services: Vec<Service>,
    _dir: tempfile::TempDir,
}

impl Slurm {
    /// Starts one, or says that there is none.
    pub fn start() -> Option<Self> {
        if let Some(absent) = PROGRAMS.iter().find(|name| program(name).is_none()) {
            eprintln!("SKIPPED: no Slurm: {absent} is not installed");
            return None;
        }
        let dir = tempfile::Builder::new()
            .prefix("bomf-slurm-")
            .tempdir()
            .unwrap();
        let path = dir.path();
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(path, 0o755);
        // A key of no worth: the socket is only for this cluster.
        let key = path.join("key");
        std::fs::write(&key, [7; 128]).unwrap();
        mode(&key, 0o600);
        for folder in ["state", "spool"] {
            std::fs::create_dir(path.join(folder)).unwrap();
        }
        let host = output(Command::new("uname").arg("-n"));
        let host = host.trim().split('.').next().unwrap().to_string();
        let conf = path.join("slurm.conf");
        std::fs::write(&conf, configuration(path, &host)).unwrap();

        let start = |name: &str| Command::new(program(name).unwrap());
        let at = |option: &str, name: &str| format!("--{option}={}", path.join(name).display());
        let mut munge = start("munged");
        munge.args(["--force", "--foreground"]);
        munge.args([
            at("key-file", "key"),
            at("socket", "socket"),
            at("pid-file", "munge.pid"),
        ]);
        munge.args([at("seed-file", "seed"), at("log-file", "munge.log")]);
        let mut munge = Service::start(&mut munge, &path.join("munge.out"));
        munge.until(|| path.join("socket").exists());
        let mut controller = start("slurmctld");
        let controller = controller.arg("-D").arg("-f").arg(&conf);
        let controller = Service::start(controller, &path.join("slurmctld.out"));
        let mut daemon = start("slurmd");
        let daemon = daemon.arg("-D").arg("-f").arg(&conf).args(["-N", &host]);
        let mut daemon = Service::start(daemon, &path.join("slurmd.out"));
        let is_ready = || {
            let mut command = Command::new("scontrol");
            command.env("SLURM_CONF", &conf);
            let node = output(command.args(["show", "node", &host]));
            node.contains("State=IDLE ")
        };
        daemon.until(is_ready);
        Some(Slurm {
            conf,
            _services: vec![daemon, controller, munge],
            _dir: dir,
        })
    }

    /// Its configuration, as `SLURM_CONF` names it.
    pub fn conf(&self) -> &Path {
        &self.conf
    }

    /// Runs one of its programs, and gives what that says.
    pub fn run(&self, name: &str, words: &[&str]) -> String {
        output(Command::new(name).env("SLURM_CONF", &self.conf).args(words))
    }

    /// A field of a job or a task, such as `JobState`.
    pub fn field(&self, job: &str, name: &str) -> String {
        let shown = self.run("scontrol", &["show", "job", job]);
        let mark = format!("{name}=");
        let mut words = shown.split_whitespace();
        let found = words.find_map(|word| word.strip_prefix(&mark));
        found.unwrap_or_default().to_string()
    }
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn configuration(path: &Path, host: &str) -> String {
    let [controller, daemon] = free_ports();
    let user = output(Command::new("id").arg("-un"));
    let (user, path) = (user.trim(), path.display());
    format!(
        "ClusterName=bomf
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthType=auth/munge
# What is put into the queue again waits until its credential is worthless: not for minutes.
AuthInfo=socket={path}/socket,cred_expire=5
StateSaveLocation={path}/state
SlurmdSpoolDir={path}/spool
SlurmctldPidFile={path}/slurmctld.pid
SlurmdPidFile={path}/slurmd.pid
SlurmctldLogFile={path}/slurmctld.log
SlurmdLogFile={path}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=1000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"
    )
}
