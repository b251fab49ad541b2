//! Clusters of one host for tests, where their programs are installed.

mod ray;
mod slurm;

pub use ray::Ray;
pub use slurm::Slurm;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than a cluster takes to start on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program where it is installed, be it one for administrators.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let mut places = folders.map(|folder: PathBuf| folder.join(name));
    places.find(|place| place.is_file())
}

fn free_ports<const N: usize>() -> [u16; N] {
    // All are held until the last is found, so that no two are the same.
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// A program of a cluster's, ended when it goes.
struct Service {
    child: Child,
    log: PathBuf,
}

impl Service {
    fn start(command: &mut Command, log: &Path) -> Self {
        let file = std::fs::File::create(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Service {
            child,
            log: log.into(),
        }
    }

    /// Waits until it works.
    #[track_caller]
    fn until(&mut self, mut is_so: impl FnMut() -> bool) {
        let began = Instant::now();
        while !is_so() {
            let is_over = self.child.try_wait().unwrap().is_some();
            assert!(
                !is_over && began.elapsed() < PATIENCE,
                "it does not start: {}",
                std::fs::read_to_string(&self.log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let number = self.child.id().to_string();
        let _ = Command::new("kill").arg(&number).status();
        let began = Instant::now();
        while self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if began.elapsed() > Duration::from_secs(20) {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
