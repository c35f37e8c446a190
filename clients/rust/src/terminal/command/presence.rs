//! What the user shows of itself.

use protocol::body::presence::OwnPresence;
use protocol::commit::Shows;

use super::{Desk, Done, Outcome};
use crate::dial::ClientError;
use crate::session::Session;
use crate::terminal::text::{apart, one_line};

impl Desk<'_> {
    /// `/status`; `/status online`, `away`, `busy` or `invisible`, with or without a text; `/status TEXT`.
    pub(super) async fn status(&self, rest: &str) -> Done {
        if rest.is_empty() {
            let asked = self.client.with_session(Session::own_presence).await?;
            asked.map_err(ClientError::Refused)?;
            return Ok(Outcome::Asked);
        }
        let (shows, status) = wanted(rest);
        let status = status.to_owned();
        let set = move |session: &mut Session| session.set_presence(shows, &status, 0);
        self.client.with_session(set).await?.map_err(ClientError::Refused)?;
        Ok(Outcome::Said(format!("You show yourself {}.", shows_word(shows as u8))))
    }
}

/// What is to be shown, and the text behind it.
fn wanted(rest: &str) -> (Shows, &str) {
    let (word, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    match word {
        "online" => (Shows::Activity, text.trim()),
        "away" => (Shows::Away, text.trim()),
        "busy" => (Shows::DoNotDisturb, text.trim()),
        "invisible" => (Shows::Invisible, text.trim()),
        _ => (Shows::Activity, rest),
    }
}

fn shows_word(shows: u8) -> &'static str {
    match Shows::from_number(shows) {
        Some(Shows::Activity) => "online while you are there",
        Some(Shows::Away) => "away",
        Some(Shows::DoNotDisturb) => "busy",
        Some(Shows::Invisible) => "offline, whatever you do",
        None => "in a way that this client does not know",
    }
}

/// What the user shows, in one line.
pub(in crate::terminal) fn own_words(own: &OwnPresence) -> String {
    let here = own.devices.iter().filter(|device| device.state > 1).count();
    let status = match own.status.as_str() {
        "" => String::new(),
        status => format!(", \"{}\"", one_line(&apart(status))),
    };
    let all = own.devices.len();
    format!("You show yourself {}{status}. {here} of your {all} devices are there.", shows_word(own.shows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_and_a_text_or_one_of_them() {
        assert_eq!(wanted("away"), (Shows::Away, ""));
        assert_eq!(wanted("busy in a meeting"), (Shows::DoNotDisturb, "in a meeting"));
        assert_eq!(wanted("drinking tea"), (Shows::Activity, "drinking tea"));
    }

    #[test]
    fn what_is_shown_in_one_line() {
        let own = OwnPresence {
            state: 1,
            shows: 3,
            status_until_ms: 0,
            status: "at sea".into(),
            devices: Vec::new(),
        };
        let words = "You show yourself offline, whatever you do, \"at sea\". 0 of your 0 devices are there.";
        assert_eq!(own_words(&own), words);
    }
}
