//! All sessions of a shard, by their names, and by the links that they speak through: whoever hears something through a
//! link looks once which session it is of.

use crate::idmap::{IdMap, Seeded};
use crate::link::Link;
use crate::session::{Session, SessionId};

#[derive(Debug)]
pub(crate) struct Sessions {
    /// Boxed, so that the empty places of the map cost little.
    by_id: IdMap<SessionId, Box<Session>>,
    by_link: IdMap<Link, SessionId>,
}

impl Sessions {
    pub(crate) fn new(seed: Seeded) -> Self {
        Self { by_id: IdMap::with_hasher(seed), by_link: IdMap::with_hasher(seed) }
    }

    pub(crate) fn get(&self, id: &SessionId) -> Option<&Session> {
        self.by_id.get(id).map(|session| &**session)
    }

    pub(crate) fn get_mut(&mut self, id: &SessionId) -> Option<&mut Session> {
        self.by_id.get_mut(id).map(|session| &mut **session)
    }

    pub(crate) fn contains_key(&self, id: &SessionId) -> bool {
        self.by_id.contains_key(id)
    }

    /// Which session speaks through a link.
    pub(crate) fn at(&self, link: Link) -> Option<SessionId> {
        self.by_link.get(&link).copied()
    }

    pub(crate) fn insert(&mut self, id: SessionId, session: Session) {
        self.by_link.insert(session.link(), id);
        self.by_id.insert(id, Box::new(session));
    }

    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Box<Session>> {
        let session = self.by_id.remove(&id)?;
        self.by_link.remove(&session.link());
        Some(session)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The links of all, in no order.
    pub(crate) fn links(&self) -> impl Iterator<Item = Link> {
        self.by_link.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use protocol::hello::Hello;
    use protocol::{Cursor, DeviceId, InboxSeq, ShardId, UserId};

    use super::*;
    use crate::admit::Bucket;
    use crate::input::{ConnId, Tick};

    #[test]
    fn a_session_is_found_by_its_link_until_it_ends_wherever_that_is() {
        let mut sessions = Sessions::new(Seeded(1));
        let conn = ConnId(7);
        let held = |holder| Link::Held { holder: ShardId(holder), conn };
        let links = [Link::Local(conn), held(0), held(1)];
        let (user, device, cursor) = (UserId(1), DeviceId(2), Cursor::default());
        let hello = Hello { user, device, cursor, id: 0, expires_ms: 0, issued_ms: 0 };
        for (link, id) in links.into_iter().zip(1..) {
            let session = Session::new(link, &hello, InboxSeq(0), Tick(0), Bucket::default());
            sessions.insert(SessionId(id), session);
        }
        assert_eq!(links.map(|link| sessions.at(link)), [1, 2, 3].map(|id| Some(SessionId(id))));
        assert_eq!(sessions.remove(SessionId(2)).map(|session| session.link()), Some(held(0)));
        assert!(sessions.remove(SessionId(2)).is_none() && sessions.get(&SessionId(2)).is_none());
        assert_eq!(links.map(|link| sessions.at(link).is_some()), [true, false, true]);
        assert_eq!((sessions.len(), sessions.links().count()), (2, 2));
    }
}
