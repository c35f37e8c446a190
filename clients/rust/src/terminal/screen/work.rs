//! What waits for HTTP is done beside the screen: names in one task, commands, one after the other, in another.

use std::collections::BTreeMap;

use protocol::commit::Prefs;
use protocol::{ChannelId, Seq, UserId};
use tokio::sync::mpsc;

use super::Start;
use super::model::Model;
use crate::account::{Account, AccountError};
use crate::dial::Client;
use crate::terminal::chat::now_ms;
use crate::terminal::command::{Desk, Outcome, Trouble, words};
use crate::terminal::names::Names;

/// Commands that wait.
const COMMANDS_WAITING_MAX: usize = 64;

pub(super) enum Answer {
    /// `None`: not to be found out now.
    Name(UserId, Option<String>),
    Done(Outcome),
    /// Safe to show.
    Failed(String),
}

struct Command {
    word: String,
    rest: String,
    groups: BTreeMap<ChannelId, String>,
    here: Option<ChannelId>,
    newest: Option<Seq>,
    prefs: BTreeMap<ChannelId, Prefs>,
}

pub(super) struct Work {
    names: mpsc::UnboundedSender<UserId>,
    commands: mpsc::Sender<Command>,
    answers: mpsc::UnboundedReceiver<Answer>,
}

impl Work {
    pub(super) fn begin(start: &Start, client: Client) -> Self {
        // Bounded by the names that the model remembers.
        let (names, names_asked) = mpsc::unbounded_channel();
        let (commands, commands_given) = mpsc::channel(COMMANDS_WAITING_MAX);
        let (answer, answers) = mpsc::unbounded_channel();
        tokio::spawn(look_up(start.account.clone(), client.clone(), names_asked, answer.clone()));
        tokio::spawn(obey(start.account.clone(), start.password.clone(), client, commands_given, answer));
        Self { names, commands, answers }
    }

    pub(super) fn name(&self, user: UserId) {
        // The tasks live as long as this does.
        let _ = self.names.send(user);
    }

    /// False: too many wait.
    pub(super) fn command(&self, word: &str, rest: &str, model: &Model) -> bool {
        let newest = model.current().map(|one| one.head).filter(|head| *head > Seq(0));
        let command = Command {
            word: word.to_owned(),
            rest: rest.to_owned(),
            groups: model.groups(),
            here: model.open,
            newest,
            prefs: model.prefs(),
        };
        self.commands.try_send(command).is_ok()
    }

    pub(super) async fn answer(&mut self) -> Answer {
        match self.answers.recv().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

async fn look_up(
    account: Account,
    client: Client,
    mut asked: mpsc::UnboundedReceiver<UserId>,
    answers: mpsc::UnboundedSender<Answer>,
) {
    while let Some(user) = asked.recv().await {
        let name = match account.user_by_id(&client.token(), user).await {
            Ok(found) => Some(found.name),
            // Nobody has it any more: the id stands for it.
            Err(AccountError::Refused { code, .. }) if code == "not_found" => Some(user.to_string()),
            Err(_) => None,
        };
        if answers.send(Answer::Name(user, name)).is_err() {
            return;
        }
    }
}

async fn obey(
    account: Account,
    password: Option<String>,
    client: Client,
    mut commands: mpsc::Receiver<Command>,
    answers: mpsc::UnboundedSender<Answer>,
) {
    let mut names = Names::new(account.clone());
    while let Some(Command { word, rest, groups, here, newest, prefs }) = commands.recv().await {
        let password = password.as_deref();
        let mut desk = Desk {
            account: &account,
            client: &client,
            names: &mut names,
            password,
            groups: &groups,
            here,
            newest,
            prefs: &prefs,
            now_ms: now_ms(),
        };
        let outcome = desk
            .carry_out(&word, &rest)
            .await
            .unwrap_or_else(|| Err(Trouble::Said(format!("/{word} is not a command; /help lists them"))));
        let answer = match outcome {
            Ok(outcome) => Answer::Done(outcome),
            Err(trouble) => Answer::Failed(words(&trouble)),
        };
        if answers.send(answer).is_err() {
            return;
        }
    }
}
