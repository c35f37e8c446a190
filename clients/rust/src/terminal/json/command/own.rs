//! Fields of commands about what the user keeps in the own channel, about the list, and about places to read around.

use protocol::Seq;
use protocol::commit::{Notify, Prefs};

use super::{Do, Fields, Found};
use crate::session::{Around, ListOrder};

impl Fields<'_> {
    /// What the user notes; `None` for another command.
    pub(super) fn note(&self, cmd: &str) -> Found<Do> {
        Ok(Some(match cmd {
            "prefs" => Do::Prefs { target: self.target("with")?, prefs: self.prefs()? },
            "draft" => {
                let (target, thread) = (self.target("with")?, self.number("thread")?.map(Seq));
                Do::Draft { target, thread, text: self.text("text")?.unwrap_or_default() }
            }
            "hide" => {
                let from = Seq(self.need("seq", self.number("seq"))?);
                let through = self.number("through")?.map_or(from, Seq);
                Do::Hide { target: self.target("with")?, from, through }
            }
            _ => return Ok(None),
        }))
    }

    fn prefs(&self) -> Result<Prefs, String> {
        let pinned = self.number("pinned")?.unwrap_or(0);
        let notify = match self.text("notify")?.as_deref() {
            None | Some("all") => Notify::All,
            Some("mentions") => Notify::Mentions,
            Some("nothing") => Notify::Nothing,
            Some(other) => {
                return Err(format!("notify: found {other:?}; expected all, mentions or nothing"));
            }
        };
        Ok(Prefs {
            muted_until_ms: self.number("muted_until_ms")?.unwrap_or(0),
            pinned: u32::try_from(pinned)
                .map_err(|_| format!("pinned: found {pinned}; expected a smaller number"))?,
            marked_unread: self.truth("marked_unread")?.unwrap_or(false),
            notify,
            archived: self.truth("archived")?.unwrap_or(false),
        })
    }

    /// A place to read around, if one is named.
    pub(super) fn around(&self) -> Found<Around> {
        let unread = self.truth("first_unread")?.filter(|is| *is).map(|_| Around::Unread);
        let seq = self.number("around")?.map(|seq| Around::Seq(Seq(seq)));
        let time = self.number("at_ms")?.map(Around::Time);
        match [seq, time, unread].into_iter().flatten().collect::<Vec<_>>()[..] {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            _ => Err("around: one of around, at_ms and first_unread".into()),
        }
    }

    /// Which channels, and in which order.
    pub(super) fn order(&self) -> Result<ListOrder, String> {
        let cursor = self.cursor()?;
        let is_given = self.value("cursor").is_some();
        match self.text("order")?.as_deref() {
            None | Some("id") => Ok(ListOrder::Id(self.channel("after")?.unwrap_or_default())),
            Some("recent") => Ok(ListOrder::Recent(is_given.then_some(cursor))),
            Some("changed") if is_given => Ok(ListOrder::Changed(cursor)),
            Some("changed") => Err("cursor: missing; an event list has one".into()),
            Some(other) => Err(format!("order: found {other:?}; expected id, recent or changed")),
        }
    }
}
