//! Devices without a connection.

use super::schema::letters;
use super::{Operation, Section};
use crate::routes::WAIT_S_MAX;

pub(super) fn section() -> Section {
    Section {
        tag: "polls",
        about: "The chat port's frames by HTTP, for a device that has no other way.",
        operations: vec![poll(), end()],
        schemas: Vec::new(),
    }
}

fn number() -> serde_json::Value {
    letters("0-9", 1, 19)
}

fn poll() -> Operation {
    const ABOUT: &str = "\
The body is whole frames as in docs/protocol.md, or nothing; so is the answer's. The first request begins a session: it brings \
Hello and has no `Maru-Poll`. Its answer names the session in `Maru-Poll`, and the next request is number 2. At most two requests \
are under way; a newer one ends the wait of the older. A request whose answer did not come is sent again with the same number and \
body: nothing is done twice. `Maru-Poll-Close` in an answer is the code with which the session ended; `Maru-Poll-Pause-Ms` is when \
to ask again where there was no room to wait.";
    let wait = serde_json::json!({ "type": "string", "pattern": "^[0-9]{1,2}$",
        "description": format!("Seconds to wait for something to be answered, at most {WAIT_S_MAX}; 0 unless it is said.") });
    Operation::new("POST", "/v1/poll", "poll", "Bring frames, and take those that wait")
        .about(ABOUT)
        .bearer()
        .in_query("wait", wait, "1")
        .in_header_sometimes("Maru-Poll", number(), "1")
        .in_header_sometimes("Maru-Poll-Number", number(), "2")
        .frames_body()
        .gives_frames("Frames, or nothing when none came in time.")
        .refuses(&["no_such_poll", "poll_number", "poll_repeated", "rate"])
}

fn end() -> Operation {
    Operation::new("DELETE", "/v1/poll", "endPoll", "End a session by polls")
        .bearer()
        .in_header("Maru-Poll", number(), "1")
        .gives_nothing("That session of the device is no more; also when it was none.")
}
