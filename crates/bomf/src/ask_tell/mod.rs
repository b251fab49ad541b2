//! The optimiser for programs in any language: one JSON object a line, in and out.
//!
//! | request | reply |
//! |---|---|
//! | `start`: what is searched | `ready` |
//! | `tell`: points with their objectives | none |
//! | `ask`: how many points | `suggest`: so many points |
//! | `stop` | none, and the session is over |
//!
//! **All objectives are minimised**, as most programs that speak the protocol do;
//! they are turned here, once, and nowhere below. A point is a list of numbers: on a
//! box the parameters in their natural bounds, on the simplex the `nx` weights. An
//! evaluation that failed is told with `y: null`, or with `null` in it.
//!
//! A line that cannot be understood or carried out is answered by `error`, which says
//! what is wrong and how to mend it; nothing of it is kept, and the session goes on.
//!
//! ```
//! let mut session = bomf::ask_tell::Session::new();
//! let start = r#"{"type": "start", "protocol": 1, "space": "simplex", "nx": 3, "nobj": 2}"#;
//! println!("{}", session.reply(start).unwrap());
//! session.reply(r#"{"type": "tell", "points": [{"x": [0, 0.5, 0.5], "y": [0.7, 0.2]}]}"#);
//! let suggestion = session.reply(r#"{"type": "ask", "q": 4}"#).unwrap();
//! assert!(suggestion.contains(r#""type":"suggest""#));
//! ```

mod error;
mod message;
mod search;
mod session;

pub use error::ProtocolError;
pub use session::Session;
