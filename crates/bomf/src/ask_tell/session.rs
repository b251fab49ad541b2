//! The state of one conversation.

use super::ProtocolError;
use super::message::{PROTOCOL, Reply, Request, Start, Told, parse};
use super::search::{Search, build, field, values};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Most points that one `ask` may want.
const MAX_BATCH: usize = 10_000;

/// A conversation with one driver about one search.
#[derive(Default)]
pub struct Session {
    running: Option<Running>,
    stopped: bool,
    seed: u64,
}

/// What `start` brings about.
struct Running {
    search: Box<dyn Search>,
    rng: ChaCha8Rng,
    nx: usize,
    nobj: usize,
}

impl Session {
    /// A conversation that has not begun.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that has not begun, with the seed of a `start` that holds none (otherwise 0).
    #[must_use]
    pub fn with_seed(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// The answer to a line, as a line without its end; `None` where there is nothing
    /// to say. An empty line says nothing.
    pub fn reply(&mut self, line: &str) -> Option<String> {
        if line.trim().is_empty() {
            return None;
        }
        self.answer(parse(line)).map(|reply| reply.line())
    }

    /// As [`Self::reply`], for bytes that should be UTF-8.
    pub fn reply_to_bytes(&mut self, line: &[u8]) -> Option<String> {
        match std::str::from_utf8(line) {
            Ok(line) => self.reply(line),
            Err(_) => self
                .answer(Err(ProtocolError::Encoding))
                .map(|reply| reply.line()),
        }
    }

    /// Whether the driver has said `stop`.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    fn answer(&mut self, request: Result<Request, ProtocolError>) -> Option<Reply> {
        match request.and_then(|request| self.carry_out(request)) {
            Ok(reply) => reply,
            Err(error) => Some(Reply::Error {
                message: error.to_string(),
                hint: error.hint(),
            }),
        }
    }

    fn carry_out(&mut self, request: Request) -> Result<Option<Reply>, ProtocolError> {
        match request {
            Request::Start(start) => {
                if self.running.is_some() {
                    return Err(ProtocolError::Started);
                }
                self.running = Some(Running::new(&start, self.seed)?);
                Ok(Some(Reply::Ready {
                    name: concat!("bomf ", env!("CARGO_PKG_VERSION")),
                }))
            }
            Request::Tell { points } => {
                self.running("tell")?.tell(&points)?;
                Ok(None)
            }
            Request::Ask { q } => {
                let xs = self.running("ask")?.ask(q)?;
                Ok(Some(Reply::Suggest { xs }))
            }
            Request::Stop {} => {
                self.stopped = true;
                Ok(None)
            }
        }
    }

    fn running(&mut self, request: &'static str) -> Result<&mut Running, ProtocolError> {
        self.running
            .as_mut()
            .ok_or(ProtocolError::NotStarted { request })
    }
}

impl Running {
    fn new(start: &Start, seed: u64) -> Result<Self, ProtocolError> {
        if start.protocol != PROTOCOL {
            return Err(ProtocolError::Version {
                found: start.protocol,
                spoken: PROTOCOL,
            });
        }
        Ok(Self {
            search: build(start)?,
            rng: ChaCha8Rng::seed_from_u64(start.seed.unwrap_or(seed)),
            nx: start.nx,
            nobj: start.nobj,
        })
    }

    /// All points or none.
    fn tell(&mut self, points: &[Told]) -> Result<(), ProtocolError> {
        for (index, point) in points.iter().enumerate() {
            self.check(point).map_err(|reason| ProtocolError::Point {
                index,
                reason: Box::new(reason),
            })?;
        }
        for point in points {
            // One null makes it a failure.
            let y: Option<Vec<f64>> = point.y.as_ref().and_then(|y| y.iter().copied().collect());
            self.search.tell(&point.x, y.as_deref())?;
        }
        Ok(())
    }

    fn check(&self, point: &Told) -> Result<(), ProtocolError> {
        if point.x.len() != self.nx {
            return Err(values("x", &point.x, self.nx));
        }
        if let Some(y) = &point.y
            && y.len() != self.nobj
        {
            return Err(field("y", format!("a list of {}", y.len()), self.nobj));
        }
        finite("x", point.x.iter().copied())?;
        finite("y", point.y.iter().flatten().flatten().copied())?;
        Ok(self.search.check(&point.x)?)
    }

    fn ask(&mut self, q: usize) -> Result<Vec<Vec<f64>>, ProtocolError> {
        if !(1..=MAX_BATCH).contains(&q) {
            return Err(field("q", q, format!("1 to {MAX_BATCH}")));
        }
        Ok(self.search.ask(q, &mut self.rng)?)
    }
}

fn finite(
    field: &'static str,
    mut numbers: impl Iterator<Item = f64>,
) -> Result<(), ProtocolError> {
    match numbers.find(|v| !v.is_finite()) {
        Some(value) => Err(ProtocolError::NotFinite { field, value }),
        None => Ok(()),
    }
}
