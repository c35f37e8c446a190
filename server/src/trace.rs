//! The way of one message: what the store says, what the homes of its users know now, and what push wrote down.

use api::{HomeError, PushLine, PushWord, Trace};
use carry::End;
use protocol::query::{Answer, Query};
use protocol::{BayId, ChannelId, Seq, UserId};
use push::diary::{Entry, What};

use crate::plane::DataPlane;

impl DataPlane {
    pub(crate) async fn trace_of(
        &self,
        (channel, seq): (ChannelId, Seq),
        after: UserId,
        limit: u32,
    ) -> Result<Trace, HomeError> {
        let stored = match self.read(Query::Trace { channel, seq, after, limit }).await? {
            Answer::Trace(stored) => *stored,
            other => return Err(HomeError::NotNow(format!("the store answered {other:?}"))),
        };
        let users: Vec<UserId> = stored.users.iter().map(|user| user.user).collect();
        let mut live = Vec::with_capacity(users.len());
        for user in &users {
            live.push(self.look_at(*user).await?);
        }
        let diary = self.outbox().map(push::outbox::Outbox::diary);
        let lines = diary.map(|diary| diary.of(channel, seq, &users)).unwrap_or_default();
        Ok(Trace {
            stored,
            home: (BayId::of_channel(channel).0, self.placement().channel_home(channel).0),
            live,
            pushes: lines.into_iter().map(line).collect(),
            pushes_since_ms: diary.map_or(0, push::diary::Diary::since_ms),
        })
    }
}

fn line(entry: Entry) -> PushLine {
    let Entry { at_ms, user, seq, count, target, host, what, .. } = entry;
    let (what, words, until_ms) = match what {
        What::Taken => (PushWord::Taken, String::new(), None),
        What::Gone => (PushWord::Gone, String::new(), None),
        What::Refused(words) => (PushWord::Refused, words, None),
        What::Failed { why, again_ms } => (PushWord::Failed, why, Some(again_ms)),
        What::Quiet { until_ms } => (PushWord::Quiet, String::new(), Some(until_ms)),
        What::Resting { until_ms } => (PushWord::Resting, String::new(), Some(until_ms)),
        What::Withdrawn => (PushWord::Withdrawn, String::new(), None),
        What::Ended(End::Read) => (PushWord::Read, String::new(), None),
        What::Ended(End::Recalled) => (PushWord::Recalled, String::new(), None),
        What::Ended(End::Expired) => (PushWord::Expired, String::new(), None),
        What::Ended(End::Parked) => (PushWord::Parked, String::new(), None),
        // The others are no ends without a call.
        What::Ended(End::Unwanted | End::Told | End::Later) => (PushWord::Unwanted, String::new(), None),
    };
    let target = target.map(|target| (target, host));
    PushLine { at_ms, user, seq, count, target, what, words, until_ms }
}
