//! The task that owns a session and its connection.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use protocol::body::session::Reject;
use protocol::{CloseCode, Code, Frame};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::link::Link;
use super::roads::{NoWay, Roads};
use super::socket::Lost;
use super::{CLOSE_WAIT, Command, End, Keep, Options};
use crate::account::{Account, AccountError, Extras, Login};
use crate::http::HttpError;
use crate::session::{Event, Session};

/// Tokens that may be refused one after the other before the client gives up.
const REFUSED_TOKENS_MAX: u32 = 3;
/// How long after Welcome an older Hello of this device may still be read: a server waits no longer for one.
const OLD_HELLO: Duration = Duration::from_secs(10);
/// A sleep when nothing is due; any input ends it.
const IDLE: Duration = Duration::from_secs(3600);

type Pending<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

pub(super) struct Task {
    account: Account,
    renew: Option<(String, String)>,
    login: Login,
    keep: Option<Arc<dyn Keep>>,
    told: watch::Sender<Login>,
    roads: Arc<Roads>,
    session: Session,
    commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<Result<Event, End>>,
    /// Events of the session that the app has no room for yet.
    waiting: VecDeque<Event>,
    socket: Option<Link>,
    dialing: Pending<Result<Link, NoWay>>,
    renewing: Pending<Result<Login, AccountError>>,
    /// The token was refused: no dialling before there is another.
    is_token_bad: bool,
    wants_dial: bool,
    refused_tokens: u32,
    welcomed: Option<Instant>,
    /// It was replaced when it was young, and has come back.
    came_back: bool,
    began: Instant,
    /// The server's clock minus ours, in milliseconds.
    server_ahead_ms: u64,
}

/// What woke the task.
enum Step {
    Command(Option<Command>),
    /// There is room for an event, or nobody listens.
    Room(bool),
    Turn(Result<(), Lost>),
    Dialed(Result<Link, NoWay>),
    Renewed(Result<Login, AccountError>),
    Tick,
}

impl Task {
    pub(super) fn new(
        options: Options,
        roads: Arc<Roads>,
        session: Session,
        commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<Result<Event, End>>,
        told: watch::Sender<Login>,
    ) -> Self {
        Self {
            account: options.account,
            renew: options.renew,
            login: options.login,
            keep: None,
            told,
            roads,
            session,
            commands,
            events,
            waiting: VecDeque::new(),
            socket: None,
            dialing: None,
            renewing: None,
            is_token_bad: false,
            wants_dial: false,
            refused_tokens: 0,
            welcomed: None,
            came_back: false,
            began: Instant::now(),
            server_ahead_ms: 0,
        }
    }

    pub(super) fn kept_by(self, keep: Option<Arc<dyn Keep>>) -> Self {
        Self { keep, ..self }
    }

    pub(super) async fn run(mut self) {
        self.dial();
        let end = self.work().await;
        if let Some(socket) = self.socket.take() {
            let _ = timeout(CLOSE_WAIT, socket.close()).await;
        }
        for event in self.waiting {
            if self.events.send(Ok(event)).await.is_err() {
                return;
            }
        }
        // Nobody may be listening any more.
        let _ = self.events.send(Err(end)).await;
    }

    async fn work(&mut self) -> End {
        let mut frames = Vec::new();
        loop {
            self.session.tick(self.now_ms());
            if let Err(end) = self.take_events() {
                return end;
            }
            self.fill_socket();
            match self.step(&mut frames).await {
                Step::Command(Some(command)) => command(&mut self.session),
                Step::Command(None) => return End::Stopped,
                Step::Room(true) => {
                    if let Some(event) = self.waiting.pop_front() {
                        // There is room: this does not wait.
                        let _ = self.events.try_send(Ok(event));
                    }
                }
                Step::Room(false) => self.waiting.clear(),
                Step::Turn(outcome) => {
                    let now_ms = self.now_ms();
                    for frame in frames.drain(..) {
                        self.session.receive(now_ms, frame);
                    }
                    if let Err(lost) = outcome
                        && let Some(end) = self.lose(lost)
                    {
                        return end;
                    }
                }
                Step::Dialed(outcome) => {
                    if let Err(end) = self.take_socket(outcome) {
                        return end;
                    }
                }
                Step::Renewed(outcome) => {
                    if let Err(end) = self.take_login(outcome) {
                        return end;
                    }
                }
                Step::Tick => {}
            }
        }
    }

    async fn step(&mut self, frames: &mut Vec<Frame>) -> Step {
        let idle = Instant::now() + IDLE;
        let due = self.session.next_deadline().map_or(idle, |ms| self.began + Duration::from_millis(ms));
        let has_events = !self.waiting.is_empty();
        let Self { commands, events, socket, dialing, renewing, .. } = self;
        tokio::select! {
            command = commands.recv() => Step::Command(command),
            permit = events.reserve(), if has_events => Step::Room(permit.is_ok()),
            outcome = turn(socket, !has_events, frames) => Step::Turn(outcome),
            outcome = finish(dialing) => Step::Dialed(outcome),
            outcome = finish(renewing) => Step::Renewed(outcome),
            () = sleep_until(due) => Step::Tick,
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn fill_socket(&mut self) {
        let Self { socket: Some(socket), session, .. } = self else { return };
        if socket.is_drained() {
            socket.queue(|| session.poll_transmit());
        }
    }

    fn dial(&mut self) {
        if self.is_token_bad {
            self.wants_dial = true;
        } else if self.dialing.is_none() && self.socket.is_none() {
            let (roads, account) = (self.roads.clone(), self.account.clone());
            let token = self.login.token.clone();
            self.dialing = Some(Box::pin(async move { roads.open(account, token).await }));
        }
    }

    fn take_socket(&mut self, outcome: Result<Link, NoWay>) -> Result<(), End> {
        self.dialing = None;
        let now_ms = self.now_ms();
        match outcome {
            Ok(socket) => {
                self.socket = Some(socket);
                self.session.connected(now_ms, &self.login.token);
            }
            Err(NoWay::Http(error)) => {
                // Refused tokens are counted while nothing else is in the way: a long outage refuses one after the other.
                self.refused_tokens = 0;
                self.tell_untrusted(error);
                self.session.disconnected(now_ms);
            }
            Err(NoWay::Token { code, message }) => {
                self.token_refused(code, message)?;
                self.wants_dial = true;
            }
        }
        Ok(())
    }

    /// Another one is fetched, unless one after the other was refused.
    fn token_refused(&mut self, code: String, reason: String) -> Result<(), End> {
        self.refused_tokens += 1;
        if self.refused_tokens >= REFUSED_TOKENS_MAX {
            return Err(End::Refused { code, reason });
        }
        self.is_token_bad = true;
        self.renew();
        Ok(())
    }

    /// Who is not trusted is told; who is just not there is tried again without a word.
    fn tell_untrusted(&mut self, error: HttpError) {
        if let HttpError::Untrusted { place, fault } = error {
            self.waiting.push_back(Event::Untrusted { place, fault });
        }
    }

    fn lose(&mut self, lost: Lost) -> Option<End> {
        self.socket = None;
        self.session.disconnected(self.now_ms());
        // A busy server may read the Hello of a connection that this device has left after that of the one that it
        // made then, and close the newer for the older. So a young connection is made once more. Where the device
        // really is somewhere else, that one is younger still: it comes back too, and stays.
        let is_replaced = matches!(lost, Lost::Closed(Some(code)) if code == CloseCode::Replaced.number());
        let is_young = self.welcomed.is_some_and(|at| at.elapsed() < OLD_HELLO);
        if is_replaced && (self.came_back || !is_young) {
            return Some(End::Replaced);
        }
        self.came_back = is_young && (self.came_back || is_replaced);
        None
    }

    /// Acts on the session's events and keeps those that are for the app.
    fn take_events(&mut self) -> Result<(), End> {
        while let Some(event) = self.session.poll_event() {
            match &event {
                Event::Reconnect => {
                    self.dial();
                    continue;
                }
                Event::Dead => {
                    self.socket = None;
                    self.session.disconnected(self.now_ms());
                    continue;
                }
                Event::TokenDue => {
                    self.renew();
                    continue;
                }
                Event::LoggedOut(reject) => return Err(End::LoggedOut { reason: reject.text.clone() }),
                Event::HelloRejected(reject) if self.is_renewed_for(reject)? => continue,
                Event::Connected(welcome) => {
                    self.refused_tokens = 0;
                    self.roads.arrived();
                    self.welcomed = Some(Instant::now());
                    self.server_ahead_ms = welcome.time_ms.saturating_sub(self.now_ms());
                }
                _ => {}
            }
            self.waiting.push_back(event);
        }
        Ok(())
    }

    /// Whether another token is being fetched, so that the app need not know.
    fn is_renewed_for(&mut self, reject: &Reject) -> Result<bool, End> {
        if reject.retry_after_ms > 0 {
            return Ok(false);
        }
        let code = Code::from_number(reject.code);
        let word = code.map_or_else(|| reject.code.to_string(), |code| code.word().to_owned());
        if code == Some(Code::Expired) {
            return self.token_refused(word, reject.text.clone()).map(|()| true);
        }
        Err(End::Refused { code: word, reason: reject.text.clone() })
    }

    /// The refresh token buys the next pair; where it no longer does, name and password do.
    fn renew(&mut self) {
        if self.renewing.is_none() {
            if let Some(keep) = &self.keep {
                keep.renewing();
            }
            let (account, login) = (self.account.clone(), self.login.clone());
            self.renewing = Some(Box::pin(log_in(account, login, self.renew.clone())));
        }
    }

    fn take_login(&mut self, outcome: Result<Login, AccountError>) -> Result<(), End> {
        self.renewing = None;
        let login = match outcome {
            Ok(login) => login,
            // The token that is there still works until the server says otherwise. The app may know better.
            Err(_) if !self.is_token_bad => {
                self.waiting.push_back(Event::TokenDue);
                return Ok(());
            }
            // The token has ended, and the device too: nobody has its refresh token, or two have; or the password is good,
            // but the account has no such device any more.
            Err(AccountError::Refused { code, message, .. }) if is_logged_out(&code) => {
                return Err(End::LoggedOut { reason: message });
            }
            Err(error) => {
                return Err(End::Refused { code: error.code().to_owned(), reason: error.to_string() });
            }
        };
        if let Some(keep) = &self.keep {
            keep.renewed(&login);
        }
        match self.account.chat_place(&login.chat) {
            Ok(place) => self.roads.moved(place),
            Err(error) => self.tell_untrusted(error),
        }
        let server_ms = self.now_ms().saturating_add(self.server_ahead_ms);
        self.session.reauth(&login.token, login.expires_ms.saturating_sub(server_ms));
        self.told.send_replace(login.clone());
        self.login = login;
        self.is_token_bad = false;
        if std::mem::take(&mut self.wants_dial) {
            self.dial();
        }
        Ok(())
    }
}

async fn turn(socket: &mut Option<Link>, may_read: bool, frames: &mut Vec<Frame>) -> Result<(), Lost> {
    match socket {
        Some(socket) => socket.turn(may_read, frames).await,
        None => pending().await,
    }
}

async fn finish<T>(work: &mut Pending<T>) -> T {
    match work {
        Some(work) => work.await,
        None => pending().await,
    }
}

fn is_logged_out(code: &str) -> bool {
    matches!(code, "not_found" | "unauthenticated" | "token_reused")
}

/// Gets another token; tries again until there is an answer that counts. A refresh token whose answer was lost is shown
/// again: the server knows it for a while.
async fn log_in(
    account: Account,
    last: Login,
    password: Option<(String, String)>,
) -> Result<Login, AccountError> {
    let mut refresh = Some(&last.refresh);
    loop {
        let outcome = match (&refresh, &password) {
            (Some(refresh), _) => account.renew(refresh).await,
            (None, Some((name, password))) => {
                let extras = Extras { token: Some(&last.token), ..Extras::default() };
                account.login_with(name, password, Some(last.device), extras).await
            }
            (None, None) => pending().await,
        };
        match outcome {
            Err(error) if error.retry_after_ms() > 0 => {
                sleep(Duration::from_millis(error.retry_after_ms())).await;
            }
            Err(_) if refresh.is_some() && password.is_some() => refresh = None,
            outcome => return outcome,
        }
    }
}
