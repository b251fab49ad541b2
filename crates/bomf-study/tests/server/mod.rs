//! A PostgreSQL server for tests: the one that `BOMF_POSTGRES_URL` names, or one of their own
//! where its programs are installed.

#![allow(dead_code, reason = "not every test needs everything")]
#![allow(clippy::print_stderr, reason = "what is left out must be seen")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A server, stopped when it goes.
pub struct Server {
    url: String,
    own: Option<Own>,
}

struct Own {
    programs: PathBuf,
    /// Whom PostgreSQL is run as: it refuses to be root's.
    user: Option<String>,
    dir: tempfile::TempDir,
    process: Option<Child>,
    port: u16,
    /// Settings beside those of every server.
    settings: Vec<String>,
}

/// Longer than a server takes to start on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The folder of PostgreSQL's programs.
fn programs() -> Option<PathBuf> {
    let has =
        |folder: &PathBuf| folder.join("initdb").is_file() && folder.join("postgres").is_file();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::fs::read_dir("/usr/lib/postgresql");
    let mut installed: Vec<PathBuf> = installed
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    installed.sort();
    std::env::split_paths(&path)
        .chain(installed.into_iter().rev())
        .find(has)
}

impl Server {
    /// Starts one, or says that there is none.
    pub fn start() -> Option<Self> {
        if let Ok(url) = std::env::var("BOMF_POSTGRES_URL") {
            return Some(Server { url, own: None });
        }
        let own = Own::prepare();
        if own.is_none() {
            eprintln!(
                "SKIPPED: no PostgreSQL: its programs are not installed, and BOMF_POSTGRES_URL \
                 is not set"
            );
        }
        Some(Self::of(own?))
    }

    /// Starts one that can encrypt, with a certificate and its key (PEM).
    pub fn start_encrypted(certificate: &str, key: &str) -> Option<Self> {
        let Some(mut own) = Own::prepare() else {
            eprintln!("SKIPPED: no PostgreSQL: its programs are not installed");
            return None;
        };
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let path = own.dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            own.give(&path, "600");
        }
        let path = |name: &str| own.dir.path().join(name).display().to_string();
        own.settings = vec![
            "ssl=on".into(),
            format!("ssl_cert_file={}", path("server.crt")),
            format!("ssl_key_file={}", path("server.key")),
        ];
        Some(Self::of(own))
    }

    fn of(mut own: Own) -> Self {
        own.start();
        Server {
            url: format!("postgresql://bomf@127.0.0.1:{}/postgres", own.port),
            own: Some(own),
        }
    }

    /// The URL of a study that no other test has.
    pub fn study(&self) -> String {
        static STUDIES: AtomicUsize = AtomicUsize::new(0);
        let number = STUDIES.fetch_add(1, Ordering::SeqCst);
        let mark = if self.url.contains('?') { '&' } else { '?' };
        format!(
            "{}{mark}study=test-{}-{number}",
            self.url,
            std::process::id()
        )
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it may be stopped.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Stops it at once, as a crash would.
    pub fn stop(&mut self) {
        self.own.as_mut().unwrap().stop();
    }

    pub fn start_again(&mut self) {
        self.own.as_mut().unwrap().start();
    }
}

impl Own {
    fn prepare() -> Option<Self> {
        let programs = programs()?;
        let dir = tempfile::Builder::new()
            .prefix("bomf-postgres-")
            .tempdir()
            .unwrap();
        let is_root = Command::new("id")
            .arg("-u")
            .output()
            .is_ok_and(|output| output.stdout == b"0\n");
        let user = is_root.then(|| "nobody".to_string());
        if let Some(user) = &user {
            let owned = Command::new("chown").arg(user).arg(dir.path()).status();
            if !owned.is_ok_and(|status| status.success()) {
                return None;
            }
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let own = Own {
            programs,
            user,
            dir,
            process: None,
            port,
            settings: Vec::new(),
        };
        let made = own
            .command("initdb")
            .args(["-U", "bomf", "-A", "trust", "-E", "UTF8", "--no-sync", "-D"])
            .arg(own.data())
            .output();
        match made {
            Ok(output) if output.status.success() => Some(own),
            other => {
                eprintln!("initdb: {other:?}");
                None
            }
        }
    }

    /// Gives a file to whom the server is run as.
    fn give(&self, path: &Path, mode: &str) {
        let run = |program: &str, argument: &str| {
            let status = Command::new(program).arg(argument).arg(path).status();
            assert!(status.unwrap().success(), "{program} {argument}");
        };
        run("chmod", mode);
        if let Some(user) = &self.user {
            run("chown", user);
        }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = match &self.user {
            None => Command::new(program),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={user}")).arg("--clear-groups");
                command.arg(program);
                command
            }
        };
        command.current_dir(Path::new("/"));
        command
    }

    fn start(&mut self) {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data());
        command.arg("-p").arg(self.port.to_string());
        command.arg("-k").arg(self.dir.path());
        command.args(["-h", "127.0.0.1", "-c", "max_connections=40"]);
        for setting in &self.settings {
            command.arg("-c").arg(setting);
        }
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        command.stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn().unwrap());
        let began = Instant::now();
        let address = format!(
            "host=127.0.0.1 port={} user=bomf dbname=postgres",
            self.port
        );
        while postgres::Client::connect(&address, postgres::NoTls).is_err() {
            assert!(began.elapsed() < PATIENCE, "the server does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // SIGQUIT: without shutting down.
            let number = process.id().to_string();
            let _ = Command::new("kill").args(["-QUIT", &number]).status();
            let _ = process.wait();
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.stop();
    }
}
