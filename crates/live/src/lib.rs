//! Follow, fan out, forward.

mod cursor;
mod follow;
mod forward;
pub mod hub;
pub mod protocol;
pub mod redacting;
mod sink;
mod source;

pub use follow::{FollowError, FollowOptions, Follower, FollowerHandle};
pub use forward::{Connection, HttpSink};
pub use sink::{FollowState, Following, IndexEntry, Sink, SinkError};
pub use source::source_key;
