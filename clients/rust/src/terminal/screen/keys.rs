//! Keys into the model.

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::{Ask, Model, Overlay};
use crate::terminal::text::one_line;

pub(super) const HELP: &[&str] = &[
    "Enter        send                 Alt+Enter, Ctrl+J  a new line",
    "Ctrl+N / P   next, previous       Tab  next with something unread",
    "PgUp / PgDn  older, newer         Up / Down  by one row",
    "End          to the newest        (with an empty line)",
    "F1  help     F2  members          Esc  close    Ctrl+Q  end",
    "",
    "/to NAME             talk with a person, or in a group",
    "/group NAME a b c    make a group with a, b and c",
    "/members             who is in this group",
    "/add NAME            put a person into this group",
    "/invite NAME         ask a person whether to join it",
    "/join GROUP          join a group that you were invited to",
    "/remove NAME         take a person out of this group",
    "/role NAME ROLE      make a person member, admin or owner",
    "/mute NAME TIME      let a member read and not send; off ends it",
    "/ban NAME            remove for good; /unban NAME, /rules",
    "/slow TIME           one text in 30s of each member; off",
    "/report -1 REASON    tell the operators of the server of it",
    "/rename NAME         give this group another name",
    "/leave               leave this group",
    "/reply -1 TEXT       answer the newest message; -2 the one before",
    "/thread -1 TEXT      say it in its thread; without TEXT show that",
    "/mention NAME TEXT   to a member, a,b or all or online; /mentions",
    "/edit -1 TEXT        let your newest message read otherwise",
    "/react -1 EMOJI      react to the newest; off behind it ends it",
    "/pin -1 [off]        pin it; /said shows all that is said",
    "/recall -1           take your newest message back for everybody",
    "/forward NAME TEXT   pass on what a person said",
    "/saved               what you save for yourself",
    "/mute [HOURS|off]    be told nothing of this conversation",
    "/pin-chat [off]      keep this conversation at the top",
    "/draft [TEXT]        keep a text for it on all devices",
    "/hide [N or N-M]     show messages to you no more",
    "/jump N|DAY|unread   what was said there",
    "/search WORDS        find it; first from:NAME, in:here, to:me",
    "/friends             your friends, and who asks to be one",
    "/friend NAME         ask a person, or say yes; /unfriend ends it",
    "/block NAME          take nothing from a person; /unblock ends it",
    "/privacy PART WHO    message, add, see: everyone, friends, nobody",
    "/receipts on         show how far you read, and see others; off",
    "/devices [remove N]  where you are logged in; log one out",
    "/status WORD TEXT    online, away, busy, invisible; and a text",
    "/twofactor on        log in with an authenticator app; off CODE",
    "/logout              log this device out for good",
    "/quit                end, when all is sent",
    "A line that begins with // is said with one slash.",
];

impl Model {
    /// One event of the terminal.
    pub(super) fn take_input(&mut self, event: Event) {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.take_key(key),
            Event::Paste(text) => self.type_in(&text),
            Event::Resize(columns, rows) => self.size = (columns, rows),
            _ => {}
        }
    }

    fn take_key(&mut self, key: KeyEvent) {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Char('c' | 'q') if control => self.is_ending = true,
            KeyCode::Char('d') if control && self.editor.is_empty() => self.is_ending = true,
            KeyCode::F(1) => self.toggle_help(),
            KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q') if self.overlay.is_some() => {
                self.overlay = None
            }
            _ if self.overlay.is_some() => self.move_overlay(key.code),
            KeyCode::Esc => self.notice = None,
            KeyCode::F(2) => self.toggle_members(),
            KeyCode::Char('n') if control => self.step(1),
            KeyCode::Char('p') if control => self.step(-1),
            KeyCode::Down if alt || control => self.step(1),
            KeyCode::Up if alt || control => self.step(-1),
            KeyCode::Tab => self.next_unread(),
            KeyCode::PageUp => self.scroll_up(self.pane_rows().saturating_sub(2).max(1)),
            KeyCode::PageDown => self.scroll_down(self.pane_rows().saturating_sub(2).max(1)),
            KeyCode::Up => self.scroll_up(1),
            KeyCode::Down => self.scroll_down(1),
            KeyCode::End if self.editor.is_empty() => self.show_newest(),
            KeyCode::Char('j') if control => self.type_in("\n"),
            KeyCode::Enter if alt || key.modifiers.contains(KeyModifiers::SHIFT) => self.type_in("\n"),
            KeyCode::Enter => self.enter(),
            code => {
                self.edit(code, control, alt);
                self.has_typed();
            }
        }
    }

    fn edit(&mut self, code: KeyCode, control: bool, alt: bool) {
        match code {
            KeyCode::Char('a') if control => self.editor.home(),
            KeyCode::Char('e') if control => self.editor.end(),
            KeyCode::Char('u') if control => self.editor.delete_to_start(),
            KeyCode::Char('w') if control => self.editor.delete_word(),
            KeyCode::Char('h') if control => self.editor.backspace(),
            KeyCode::Char(c) if !control && !alt => self.type_in(c.encode_utf8(&mut [0; 4])),
            KeyCode::Backspace if alt => self.editor.delete_word(),
            KeyCode::Backspace => self.editor.backspace(),
            KeyCode::Delete => self.editor.delete(),
            KeyCode::Left => self.editor.left(),
            KeyCode::Right => self.editor.right(),
            KeyCode::Home => self.editor.home(),
            KeyCode::End => self.editor.end(),
            _ => {}
        }
    }

    fn type_in(&mut self, text: &str) {
        if self.overlay.is_some() {
            self.overlay = None;
        }
        if let Err(words) = self.editor.insert(text) {
            self.complain(words);
        }
    }

    fn toggle_help(&mut self) {
        self.overlay = match self.overlay.take() {
            Some(_) => None,
            None => Some(Overlay {
                title: "Help".into(),
                lines: HELP.iter().map(|line| (*line).to_owned()).collect(),
                skipped: 0,
            }),
        };
    }

    fn move_overlay(&mut self, code: KeyCode) {
        let page = usize::from(self.size.1).saturating_sub(4).max(1);
        let Some(overlay) = &mut self.overlay else { return };
        let last = overlay.lines.len().saturating_sub(page);
        overlay.skipped = match code {
            KeyCode::Down => overlay.skipped + 1,
            KeyCode::Up => overlay.skipped.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => overlay.skipped + page,
            KeyCode::PageUp => overlay.skipped.saturating_sub(page),
            KeyCode::Home => 0,
            KeyCode::End => last,
            _ => overlay.skipped,
        }
        .min(last);
    }

    fn toggle_members(&mut self) {
        self.shows_members = !self.shows_members;
        self.ask_members();
        let is_group = self.open.is_some_and(|channel| channel.users().is_none());
        if self.shows_members && !is_group {
            self.say("The members of a group are shown beside it, once one is open.");
        }
    }

    fn step(&mut self, by: isize) {
        let order = self.order();
        let at = order.iter().position(|channel| Some(*channel) == self.open);
        let next = match at {
            Some(at) => at.saturating_add_signed(by).min(order.len() - 1),
            None => 0,
        };
        if let Some(channel) = order.get(next) {
            self.turn_to(*channel);
        }
    }

    fn next_unread(&mut self) {
        let order = self.order();
        let unread = |channel: &&protocol::ChannelId| {
            Some(**channel) != self.open && self.conversations.get(channel).is_some_and(|one| one.unread > 0)
        };
        match order.iter().find(unread).copied() {
            Some(channel) => self.turn_to(channel),
            None => self.say("Nothing else is unread."),
        }
    }

    fn show_newest(&mut self) {
        if let Some(one) = self.current_mut() {
            one.anchor = None;
        }
    }

    fn enter(&mut self) {
        if self.editor.is_empty() {
            return;
        }
        if self.editor.is_command() && !self.editor.text().contains('\n') {
            let line = self.editor.take();
            self.notice = None;
            return self.command(line.trim_start_matches('/').trim());
        }
        let Some(channel) = self.open else {
            return self.complain("Nobody is listening: /to NAME begins a conversation, Ctrl+N opens one.");
        };
        let text = self.editor.take();
        self.typed_in = None;
        let text = if text.starts_with("//") { text.get(1..).unwrap_or_default().to_owned() } else { text };
        self.show_newest();
        self.notice = None;
        self.asks.push_back(Ask::Text { channel, text });
    }

    fn command(&mut self, line: &str) {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match word {
            "help" => self.toggle_help(),
            "quit" => self.is_ending = true,
            "members" => self.toggle_members(),
            "history" => self.scroll_up(self.pane_rows().saturating_sub(2).max(1)),
            "channels" => self.say("They are on the left; Ctrl+N and Ctrl+P go from one to the next."),
            "login" | "signup" => self.say("You are logged in. /logout ends it."),
            "" => self.complain("a command is missing; /help lists them"),
            _ if word.chars().count() > 20 => self.complain(format!(
                "/{}... is not a command; /help lists them",
                one_line(&word.chars().take(20).collect::<String>())
            )),
            _ => {
                let rest = self.counted_back(word, rest.trim());
                self.asks.push_back(Ask::Command { word: word.to_owned(), rest });
            }
        }
    }
}
