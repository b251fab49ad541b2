//! Ray's head on this host.

use super::{Service, free_ports};
use std::ffi::OsString;
use std::net::TcpStream;
use std::process::Command;

/// A cluster of one host, which ends with it.
pub struct Ray {
    program: OsString,
    address: String,
    _service: Service,
    _dir: tempfile::TempDir,
}

impl Ray {
    /// Starts one by the program that `BOMF_RAY` names, or says that there is none.
    pub fn start() -> Option<Self> {
        let Some(program) = std::env::var_os("BOMF_RAY") else {
            eprintln!("SKIPPED: no Ray: BOMF_RAY names no program `ray`");
            return None;
        };
        // Its sockets' names must be short.
        let dir = tempfile::Builder::new()
            .prefix("ray-")
            .tempdir_in("/tmp")
            .unwrap();
        let [port, dashboard, agent, client] = free_ports();
        let mut command = Command::new(&program);
        command.args(["start", "--head", "--block", "--disable-usage-stats"]);
        command.args(["--num-cpus=4", "--object-store-memory=80000000"]);
        command.args(["--node-ip-address=127.0.0.1", "--dashboard-host=127.0.0.1"]);
        command.args([
            format!("--port={port}"),
            format!("--dashboard-port={dashboard}"),
        ]);
        command.arg(format!("--dashboard-agent-listen-port={agent}"));
        command.arg(format!("--ray-client-server-port={client}"));
        command.arg("--temp-dir").arg(dir.path());
        let mut service = Service::start(&mut command, &dir.path().join("out"));
        service.until(|| {
            [dashboard, agent]
                .iter()
                .all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok())
        });
        Some(Ray {
            program,
            address: format!("http://127.0.0.1:{dashboard}"),
            _service: service,
            _dir: dir,
        })
    }

    /// The address of its dashboard.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Runs `ray job`, and gives what that says.
    pub fn job(&self, word: &str, id: &str) -> String {
        let mut command = Command::new(&self.program);
        command.args(["job", word, "--address", &self.address, id]);
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    }
}
