//! Reports: messages that somebody finds wrong, for operators to look at and close. Who says it once more of one message says
//! nothing new. What is open stays until it is closed; what was closed is kept for a year.

use protocol::{ChannelId, Seq, UserId};

use super::{Accounts, AccountsError, sql, unsql};

/// Most characters of a reason, and of an operator's note.
pub(crate) const REASON_CHARS_MAX: usize = 1000;
/// So many open reports the list of words makes of one sender's messages: operators know of it then.
const FOUND_MAX: u32 = 100;
/// What was closed is kept for so long, milliseconds.
const KEPT_MS: u64 = 365 * 24 * 3600 * 1000;

/// What an operator made of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Something was wrong.
    Upheld,
    /// Nothing was.
    Dismissed,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Upheld, Self::Dismissed];

    /// The word in JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Upheld => "upheld",
            Self::Dismissed => "dismissed",
        }
    }

    /// The outcome with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.word() == word)
    }

    const fn number(self) -> i64 {
        match self {
            Self::Upheld => 1,
            Self::Dismissed => 2,
        }
    }

    fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.number() == number)
    }
}

/// What somebody reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewReport {
    /// Who; `None`: the server's list of words.
    pub reporter: Option<UserId>,
    /// Of which channel.
    pub channel: ChannelId,
    /// Which message.
    pub seq: Seq,
    /// Who sent it.
    pub sender: UserId,
    /// Why, at most 1,000 characters.
    pub reason: String,
}

/// A report as SQL has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Its number.
    pub id: u64,
    /// What was reported.
    pub of: NewReport,
    /// When, milliseconds since the Unix epoch.
    pub made_ms: u64,
    /// How it was closed; `None`: it is open.
    pub closed: Option<Closed>,
}

/// How a report was closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Closed {
    /// When, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The number of the operator's token.
    pub by: u32,
    /// What came of it.
    pub outcome: Outcome,
    /// The operator's words.
    pub note: String,
}

/// Which reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// Those that are open.
    Open,
    /// Those that were closed.
    Closed,
    /// All.
    All,
}

/// Why a report was not closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CloseFault {
    /// There is none with this number.
    NoSuchReport,
    /// It is closed already.
    ClosedAlready,
}

type Row = (i64, i64, String, i64, i64, String, i64, i64, i64, i64, String);

macro_rules! reports_where {
    ($condition:literal) => {
        concat!(
            "SELECT report_id, reporter, channel, seq, sender, reason, made_ms, closed_ms, closed_by, outcome, note \
             FROM reports WHERE ",
            $condition
        )
    };
}

impl Accounts {
    /// Takes a report; gives its number, or that of the one which the same user made of the same message before.
    ///
    /// # Errors
    /// The database's; then nothing was changed.
    pub async fn report(&self, report: &NewReport, now_ms: u64) -> Result<u64, AccountsError> {
        let id = self.new_id(now_ms).await?;
        let reporter = sql(report.reporter.map_or(0, |user| user.0));
        let (channel, seq) = (report.channel.to_string(), sql(report.seq.0));
        let mut transaction = self.pool.begin().await?;
        let forget = sqlx::query("DELETE FROM reports WHERE closed_ms > 0 AND closed_ms < $1");
        forget.bind(sql(now_ms.saturating_sub(KEPT_MS))).execute(&mut *transaction).await?;
        let insert = sqlx::query(
            "INSERT INTO reports (report_id, reporter, channel, seq, sender, reason, made_ms, closed_ms, closed_by, \
             outcome, note) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0, '') \
             ON CONFLICT (reporter, channel, seq) DO NOTHING",
        );
        let insert = insert.bind(sql(id)).bind(reporter).bind(channel.clone()).bind(seq);
        let insert = insert.bind(sql(report.sender.0)).bind(report.reason.clone()).bind(sql(now_ms));
        insert.execute(&mut *transaction).await?;
        let find = sqlx::query_as::<_, (i64,)>(
            "SELECT report_id FROM reports WHERE reporter = $1 AND channel = $2 AND seq = $3",
        );
        let (found,) = find.bind(reporter).bind(channel).bind(seq).fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(unsql(found))
    }

    /// Takes a report of the server's list of words, unless 100 of its reports of this sender are open: one who sends nothing but
    /// such words is a line or two to operators, not the whole queue. Gives whether it was taken.
    ///
    /// # Errors
    /// The database's; then nothing was changed.
    pub async fn report_found(
        &self,
        (channel, seq, sender): (ChannelId, Seq, UserId),
        now_ms: u64,
    ) -> Result<bool, AccountsError> {
        let count = sqlx::query_as::<_, (i64,)>(
            "SELECT COUNT(*) FROM reports WHERE sender = $1 AND reporter = 0 AND outcome = 0",
        );
        let (open,) = count.bind(sql(sender.0)).fetch_one(&self.pool).await?;
        if open >= i64::from(FOUND_MAX) {
            return Ok(false);
        }
        let reason = "it holds a word of the server's list".to_owned();
        self.report(&NewReport { reporter: None, channel, seq, sender, reason }, now_ms).await?;
        Ok(true)
    }

    /// Up to `limit` reports with a number above `after`, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn reports(&self, which: Which, after: u64, limit: u32) -> Result<Vec<Report>, AccountsError> {
        let (least, most) = match which {
            Which::Open => (0, 0),
            Which::Closed => (1, i64::MAX),
            Which::All => (0, i64::MAX),
        };
        let query = sqlx::query_as::<_, Row>(reports_where!(
            "report_id > $1 AND outcome >= $2 AND outcome <= $3 ORDER BY report_id LIMIT $4"
        ));
        let query = query.bind(sql(after)).bind(least).bind(most);
        let rows = query.bind(i64::from(limit)).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(report).collect())
    }

    /// Closes an open report, and gives it.
    ///
    /// # Errors
    /// The database's; then nothing was changed.
    pub async fn close_report(
        &self,
        id: u64,
        closed: &Closed,
    ) -> Result<Result<Report, CloseFault>, AccountsError> {
        let update = sqlx::query(
            "UPDATE reports SET closed_ms = $2, closed_by = $3, outcome = $4, note = $5 \
             WHERE report_id = $1 AND outcome = 0",
        );
        let update = update.bind(sql(id)).bind(sql(closed.at_ms)).bind(i64::from(closed.by));
        let update = update.bind(closed.outcome.number()).bind(closed.note.clone());
        let changed = update.execute(&self.pool).await?.rows_affected();
        let query = sqlx::query_as::<_, Row>(reports_where!("report_id = $1")).bind(sql(id));
        let found = query.fetch_optional(&self.pool).await?.map(report);
        Ok(match found {
            None => Err(CloseFault::NoSuchReport),
            Some(_) if changed == 0 => Err(CloseFault::ClosedAlready),
            Some(found) => Ok(found),
        })
    }
}

fn report(row: Row) -> Report {
    let (id, reporter, channel, seq, sender, reason, made_ms, closed_ms, closed_by, outcome, note) = row;
    let closed = Outcome::from_number(outcome).map(|outcome| Closed {
        at_ms: unsql(closed_ms),
        by: u32::try_from(closed_by).unwrap_or(u32::MAX),
        outcome,
        note,
    });
    let of = NewReport {
        reporter: (reporter != 0).then(|| UserId(unsql(reporter))),
        channel: channel.parse().unwrap_or_default(),
        seq: Seq(unsql(seq)),
        sender: UserId(unsql(sender)),
        reason,
    };
    Report { id: unsql(id), of, made_ms: unsql(made_ms), closed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::Database;
    use crate::snowflake::EPOCH_MS;

    on_both! {
        a_report_is_taken_once_listed_and_closed_once
        what_was_closed_long_ago_is_forgotten
        one_sender_does_not_fill_the_queue_by_words
    }

    const NOW_MS: u64 = EPOCH_MS + 1_000_000;

    fn of(reporter: Option<u64>, seq: u64) -> NewReport {
        let channel = ChannelId((5 << 64) | 9);
        let (reporter, reason) = (reporter.map(UserId), "it's rude".to_owned());
        NewReport { reporter, channel, seq: Seq(seq), sender: UserId(9), reason }
    }

    fn closed(at_ms: u64) -> Closed {
        Closed { at_ms, by: 1, outcome: Outcome::Upheld, note: "recalled".to_owned() }
    }

    async fn a_report_is_taken_once_listed_and_closed_once(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let first = accounts.report(&of(Some(5), 3), NOW_MS).await.unwrap();
        let again = NewReport { reason: "still".to_owned(), ..of(Some(5), 3) };
        assert_eq!(accounts.report(&again, NOW_MS + 1).await.unwrap(), first, "nothing new");
        let second = accounts.report(&of(Some(7), 3), NOW_MS + 1).await.unwrap();
        let by_word = accounts.report(&of(None, 4), NOW_MS + 2).await.unwrap();
        let open = accounts.reports(Which::Open, 0, 10).await.unwrap();
        let report = |id, of, made_ms| Report { id, of, made_ms, closed: None };
        assert_eq!(
            open,
            [
                report(first, of(Some(5), 3), NOW_MS),
                report(second, of(Some(7), 3), NOW_MS + 1),
                report(by_word, of(None, 4), NOW_MS + 2),
            ]
        );
        assert_eq!(accounts.reports(Which::Open, first, 1).await.unwrap()[0].id, second);
        let done = accounts.close_report(first, &closed(NOW_MS + 9)).await.unwrap().unwrap();
        assert_eq!(done.closed, Some(closed(NOW_MS + 9)));
        let again = accounts.close_report(first, &closed(NOW_MS + 10)).await.unwrap();
        assert_eq!(again, Err(CloseFault::ClosedAlready));
        assert_eq!(accounts.close_report(1, &closed(1)).await.unwrap(), Err(CloseFault::NoSuchReport));
        assert_eq!(accounts.reports(Which::Closed, 0, 10).await.unwrap(), [done]);
        assert_eq!(accounts.reports(Which::All, 0, 10).await.unwrap().len(), 3);
    }

    async fn one_sender_does_not_fill_the_queue_by_words(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let channel = ChannelId((5 << 64) | 9);
        let found = |sender, seq| accounts.report_found((channel, Seq(seq), UserId(sender)), NOW_MS);
        for seq in 1..=u64::from(FOUND_MAX) {
            assert!(found(9, seq).await.unwrap());
        }
        assert!(!found(9, 1000).await.unwrap());
        assert!(found(8, 1001).await.unwrap(), "another's");
        accounts.report(&of(Some(5), 1000), NOW_MS).await.unwrap();
        let open = accounts.reports(Which::Open, 0, 1000).await.unwrap();
        assert_eq!(open.len(), FOUND_MAX as usize + 2, "and whoever reports by hand is heard");
        accounts.close_report(open[0].id, &closed(NOW_MS)).await.unwrap().unwrap();
        assert!(found(9, 1002).await.unwrap(), "again once one is closed");
        assert!(!found(9, 1003).await.unwrap());
    }

    async fn what_was_closed_long_ago_is_forgotten(database: Database) {
        let accounts = Accounts::open(&database).await.unwrap();
        let old = accounts.report(&of(Some(5), 3), NOW_MS).await.unwrap();
        accounts.report(&of(Some(5), 4), NOW_MS).await.unwrap();
        accounts.close_report(old, &closed(NOW_MS)).await.unwrap().unwrap();
        accounts.report(&of(Some(5), 5), NOW_MS + KEPT_MS).await.unwrap();
        assert_eq!(accounts.reports(Which::Closed, 0, 10).await.unwrap().len(), 1);
        accounts.report(&of(Some(5), 6), NOW_MS + KEPT_MS + 1).await.unwrap();
        assert_eq!(accounts.reports(Which::Closed, 0, 10).await.unwrap(), []);
        assert_eq!(accounts.reports(Which::Open, 0, 10).await.unwrap().len(), 3, "what is open stays");
    }
}
