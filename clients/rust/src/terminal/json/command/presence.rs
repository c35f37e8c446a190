//! Commands about who is there.

use protocol::commit::Shows;

use super::super::presence::Who;
use super::Fields;

impl Fields<'_> {
    pub(super) fn presence(&self, cmd: &str) -> Result<Who, String> {
        let users = || self.need("users", self.texts("users"));
        Ok(match cmd {
            "watch" => Who::Watch(users()?),
            "unwatch" => Who::Unwatch(users()?),
            "presence" => Who::Look(users()?),
            "own_presence" => Who::Own,
            "idle" => Who::Idle(self.need("on", self.truth("on"))?),
            _ => Who::Set {
                shows: self.shows()?,
                status: self.text("status")?.unwrap_or_default(),
                status_until_ms: self.number("status_until_ms")?.unwrap_or(0),
            },
        })
    }

    fn shows(&self) -> Result<Shows, String> {
        match self.text("shows")?.as_deref() {
            None | Some("activity") => Ok(Shows::Activity),
            Some("away") => Ok(Shows::Away),
            Some("do_not_disturb") => Ok(Shows::DoNotDisturb),
            Some("invisible") => Ok(Shows::Invisible),
            Some(other) => {
                Err(format!("shows: found {other:?}; expected activity, away, do_not_disturb or invisible"))
            }
        }
    }
}
