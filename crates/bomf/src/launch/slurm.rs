//! Workers as an array job of Slurm's: <https://slurm.schedmd.com/sbatch.html>.
//!
//! | what happens | what comes of it |
//! |---|---|
//! | the worker ends with 0 | its task is complete |
//! | it ends with 2, or by its own fault | its task has failed: it would again |
//! | the time limit comes near | Slurm tells the script alone (`--signal=B:`), which tells the worker, waits until it has given its trial back, and puts the task into the queue again |
//! | `scancel`, preemption | Slurm tells every process of the task; what is preempted comes again by `--requeue` |
//! | the node dies | Slurm puts the task into the queue again (`--requeue`); the trial's lease runs out |

use super::order::{Order, Place};
use super::{CANNOT_WORK, GRACE_SECONDS, LaunchError, LaunchOutcome, LaunchRequest, LaunchedJob};
use crate::{Error, Observer};
use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

/// The program that takes scripts.
const SBATCH: &str = "sbatch";

/// The least time limit, in minutes: the notice of a minute may come a minute early, and the model
/// is loaded before anything is trained.
const LEAST_MINUTES: u64 = 5;

/// The signal by which Slurm tells the script that its time is nearly up. Not SIGTERM, by which it
/// is cancelled: what is cancelled must not come again.
const NEARLY_UP: &str = "USR1";

/// Seconds after which the script tells a worker to go that has not gone by itself: where
/// processes are not followed, Slurm tells the script alone. Told twice, a worker goes without
/// giving its trial back; so it has its time first.
const UNTOLD_SECONDS: u32 = 10;

/// Workers to start with Slurm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlurmRequest {
    /// What is started.
    pub workers: LaunchRequest,
    /// Time limit as Slurm writes it; the partition's where it is not given.
    pub time: Option<String>,
    /// The partition; the cluster's usual one where it is not given.
    pub partition: Option<String>,
    /// Further options of `sbatch`, which have the last word.
    pub options: Vec<String>,
}

/// The script that [`slurm`] submits: a task of an array job for every worker.
///
/// # Errors
/// [`LaunchError::Time`], [`LaunchError::ShortTime`], [`LaunchError::Word`] and what every launch
/// may be refused for.
pub fn slurm_script(request: &SlurmRequest) -> Result<String, Error> {
    Ok(script(request, &Order::new(&request.workers)?)?)
}

/// Submits workers to Slurm.
///
/// # Errors
/// As [`slurm_script`]; [`LaunchError::Program`], [`LaunchError::ProgramRefused`],
/// [`LaunchError::ProgramAnswer`]; and where there is no study with trials for workers.
pub fn slurm(request: &SlurmRequest, observer: &mut dyn Observer) -> Result<LaunchOutcome, Error> {
    let order = Order::new(&request.workers)?;
    let script = script(request, &order)?;
    order.check_study(observer)?;
    let id = submit(&script, order.password(), observer)?;
    if let Place::Folder(_) = order.place {
        observer.note("the study lies in a folder: workers are started on this host alone");
    }
    observer.note(&format!(
        "watch them with `squeue --job {id}`, end them with `scancel {id}`"
    ));
    Ok(LaunchOutcome {
        launcher: "slurm",
        study: order.study(),
        jobs: vec![LaunchedJob {
            id,
            workers: order.workers,
            status: None,
        }],
        name: order.name,
    })
}

fn script(request: &SlurmRequest, order: &Order) -> Result<String, LaunchError> {
    if let Some(time) = &request.time {
        check_time(time)?;
    }
    let given = [&request.time, &request.partition];
    let given = given.into_iter().flatten().chain(&request.options);
    if let Some(word) = given.clone().find(|word| word.contains(char::is_control)) {
        return Err(LaunchError::Word { word: word.clone() });
    }
    let mut out = String::from("#!/bin/bash\n");
    let mut option = |name: &str, value: &str| {
        let word = format!("--{name}={value}");
        let _ = writeln!(out, "#SBATCH {}", quoted(&word));
    };
    option("job-name", &order.name);
    option("array", &format!("0-{}", order.workers - 1));
    option("ntasks", "1");
    option("cpus-per-task", &order.cpus.to_string());
    if let Some(memory) = order.memory {
        option("mem", &format!("{}M", memory.mib()));
    }
    if order.gpus > 0 {
        option("gres", &format!("gpu:{}", order.gpus));
    }
    if let Some(time) = &request.time {
        option("time", time);
    }
    if let Some(partition) = &request.partition {
        option("partition", partition);
    }
    if let (Place::Folder(_), Some(host)) = (&order.place, this_host()) {
        option("nodelist", &host);
    }
    option("signal", &format!("B:{NEARLY_UP}@{GRACE_SECONDS}"));
    let _ = writeln!(out, "#SBATCH --requeue\n#SBATCH --open-mode=append");
    if !request.options.is_empty() {
        let words: Vec<String> = request.options.iter().map(|word| quoted(word)).collect();
        let _ = writeln!(out, "#SBATCH {}", words.join(" "));
    }
    out.push_str(&body(&order.shell_command()?));
    Ok(out)
}

/// What a task does. Traps are set once there is a worker to be told.
fn body(worker: &str) -> String {
    format!(
        r#"
{worker} &
worker=$!

# The time limit is near: the worker gives its trial back, and its task comes again.
again() {{
    kill -TERM "$worker" 2> /dev/null
    wait "$worker"
    code=$?
    if [ "$code" -ne 0 ] && [ "$code" -ne {CANNOT_WORK} ]; then
        # By the array's number: that of a task alone may mean the whole array.
        scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID" && code=0
    fi
    exit "$code"
}}

# Cancelled or preempted: the worker has been told, too, as a rule.
end() {{
    for _ in {{1..{UNTOLD_SECONDS}}}; do
        kill -0 "$worker" 2> /dev/null || break
        sleep 1
    done
    kill -TERM "$worker" 2> /dev/null
    wait "$worker"
    exit
}}

trap again {NEARLY_UP}
trap end TERM
wait "$worker"
"#
    )
}

/// A word as `#SBATCH` lines have it: whole, whatever is in it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into();
    }
    let mut out = String::from("\"");
    for c in word.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// The name of this host among a cluster's nodes.
fn this_host() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let short = name.trim().split('.').next()?;
    (!short.is_empty()).then(|| short.into())
}

/// Refuses a time limit that cannot be, or within which nothing would be trained: the task would
/// come again for ever.
fn check_time(given: &str) -> Result<(), LaunchError> {
    let wrong = || LaunchError::Time {
        given: given.into(),
    };
    if matches!(
        given.to_ascii_lowercase().as_str(),
        "infinite" | "unlimited"
    ) {
        return Ok(());
    }
    let number = |text: &str| text.parse::<u32>().map(u64::from).map_err(|_| wrong());
    let (days, rest) = match given.split_once('-') {
        Some((days, rest)) => (Some(number(days)?), rest),
        None => (None, given),
    };
    let parts = rest.split(':').map(number).collect::<Result<Vec<_>, _>>()?;
    let seconds = match (days, &parts[..]) {
        (Some(days), [hours, rest @ ..]) if rest.len() <= 2 => {
            let [minutes, seconds] = [0, 1].map(|i| rest.get(i).copied().unwrap_or(0));
            ((days * 24 + hours) * 60 + minutes) * 60 + seconds
        }
        (None, [minutes]) => minutes * 60,
        (None, [minutes, seconds]) => minutes * 60 + seconds,
        (None, [hours, minutes, seconds]) => (hours * 60 + minutes) * 60 + seconds,
        _ => return Err(wrong()),
    };
    // Slurm takes 0 for no limit.
    match seconds == 0 || seconds >= LEAST_MINUTES * 60 {
        true => Ok(()),
        false => Err(LaunchError::ShortTime {
            given: given.into(),
            least: LEAST_MINUTES,
        }),
    }
}

/// Hands a script to Slurm; the number of its job. The password goes with the environment.
fn submit(
    script: &str,
    password: Option<String>,
    observer: &mut dyn Observer,
) -> Result<String, LaunchError> {
    let failed = |source| LaunchError::Program {
        program: SBATCH,
        source,
    };
    let mut command = Command::new(SBATCH);
    command
        .arg("--parsable")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(script.as_bytes()) {
            // It has gone, and says why.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            written => written.map_err(failed)?,
        }
    }
    let output = child.wait_with_output().map_err(failed)?;
    let said = in_one_line(&String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        let said = match said.is_empty() {
            true => output.status.to_string(),
            false => said,
        };
        return Err(LaunchError::ProgramRefused {
            program: SBATCH,
            said,
        });
    }
    if !said.is_empty() {
        observer.note(&said);
    }
    // `<number>`, or `<number>;<cluster>` where there are several.
    let answer = String::from_utf8_lossy(&output.stdout);
    let id = answer.trim().split(';').next().unwrap_or_default();
    match !id.is_empty() && id.chars().all(|c| c.is_ascii_digit()) {
        true => Ok(id.into()),
        false => Err(LaunchError::ProgramAnswer {
            program: SBATCH,
            said: answer.trim().into(),
        }),
    }
}

/// What `sbatch` said on stderr, without its name before every line.
fn in_one_line(said: &str) -> String {
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let bare = lines.map(|line| {
        let line = line.strip_prefix("sbatch: ").unwrap_or(line);
        line.strip_prefix("error: ").unwrap_or(line)
    });
    bare.collect::<Vec<_>>().join("; ")
}
