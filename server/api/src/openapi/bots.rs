//! Bots: users that are programs, and their tokens.

use serde_json::{Value, json};

use super::schema::{Field, id, list, named, nullable, object, request, said, secret, text, time_ms};
use super::{Operation, Section};
use crate::name::RAW_CHARS_MAX;
use crate::routes::{BOTS_PAGE, DEVICE_NAME_CHARS_MAX};

/// Each is a device of the bot.
const BOT_TOKENS_LISTED: usize = protocol::limits::DEVICES_MAX;

const ID: &str = "7310442183966793728";

pub(super) fn section() -> Section {
    let mut operations = Vec::new();
    for whose in [Whose::Own, Whose::Everybodys] {
        operations.extend([
            make(whose),
            all(whose),
            end(whose),
            make_token(whose),
            tokens(whose),
            end_token(whose),
        ]);
    }
    Section {
        tag: "bots",
        about: "Users that are programs. Each has tokens of its own, with scopes, shown once and revoked at once.",
        operations,
        schemas: vec![("BotToken", fresh())],
    }
}

#[derive(Clone, Copy)]
enum Whose {
    Own,
    Everybodys,
}

impl Whose {
    /// The same operation twice: a user's at its path, and an operator's.
    fn operation(
        self,
        method: &'static str,
        paths: [&'static str; 2],
        ids: [&'static str; 2],
        summary: &'static str,
    ) -> Operation {
        let [own_path, any_path] = paths;
        let [own, any] = ids;
        match self {
            Self::Own => Operation::new(method, own_path, own, summary).bearer(),
            Self::Everybodys => Operation::new(method, any_path, any, summary).operator("users"),
        }
    }
}

const ALL: [&str; 2] = ["/v1/bots", "/v1/admin/bots"];
const ONE: [&str; 2] = ["/v1/bots/{id}", "/v1/admin/bots/{id}"];
const TOKENS: [&str; 2] = ["/v1/bots/{id}/tokens", "/v1/admin/bots/{id}/tokens"];
const TOKEN: [&str; 2] = ["/v1/bots/{id}/tokens/{token}", "/v1/admin/bots/{id}/tokens/{token}"];

fn make(whose: Whose) -> Operation {
    let mut answer = token_fields();
    answer.extend([("bot", id()), ("name", text(1, RAW_CHARS_MAX))]);
    let token_name = said(text(1, DEVICE_NAME_CHARS_MAX), "Of its first token. `first` unless it is said.");
    whose
        .operation("POST", ALL, ["makeBot", "makeBotAsOperator"], "Make a bot")
        .body(
            request(vec![("name", secret())], vec![("token_name", token_name), ("scopes", scopes())]),
            json!({ "name": "echo" }),
        )
        .gives(201, "The bot with its first token.", object(answer, Vec::new()))
        .refuses(&["bot", "name_taken", "too_many_bots", "too_many_tokens"])
        .stores()
}

fn all(whose: Whose) -> Operation {
    let bot = object(
        vec![
            ("bot", id()),
            ("name", text(1, RAW_CHARS_MAX)),
            ("owner", said(nullable(id()), "A user, or null for the operator.")),
            ("created_ms", time_ms()),
        ],
        Vec::new(),
    );
    let next = said(id(), "There may be more: give it as `after`.");
    whose
        .operation("GET", ALL, ["listBots", "listAllBots"], "List bots")
        .in_query("after", said(id(), "`next` of the page before."), ID)
        .gives(
            200,
            "A page, by rising id.",
            object(vec![("bots", list(bot, BOTS_PAGE as usize))], vec![("next", next)]),
        )
}

fn end(whose: Whose) -> Operation {
    whose
        .operation("DELETE", ONE, ["endBot", "endAnyBot"], "End a bot")
        .in_path("id", id(), ID)
        .gives_nothing("The bot is no more.")
        .refuses(&["not_found"])
        .stores()
}

fn make_token(whose: Whose) -> Operation {
    let name = text(1, DEVICE_NAME_CHARS_MAX);
    whose
        .operation("POST", TOKENS, ["makeBotToken", "makeAnyBotToken"], "Make another token of a bot")
        .in_path("id", id(), ID)
        .body(
            request(vec![("name", name)], vec![("scopes", scopes())]),
            json!({ "name": "second", "scopes": ["read"] }),
        )
        .gives(201, "The token, shown this once.", named("BotToken"))
        .refuses(&["not_found", "too_many_tokens"])
        .stores()
}

fn tokens(whose: Whose) -> Operation {
    let token = object(
        vec![
            ("id", id()),
            ("token_name", text(0, DEVICE_NAME_CHARS_MAX)),
            ("scopes", scopes()),
            ("created_ms", time_ms()),
            ("seen_ms", time_ms()),
        ],
        Vec::new(),
    );
    whose
        .operation("GET", TOKENS, ["listBotTokens", "listAnyBotTokens"], "List a bot's tokens")
        .in_path("id", id(), ID)
        .gives(200, "All of them.", object(vec![("tokens", list(token, BOT_TOKENS_LISTED))], Vec::new()))
        .refuses(&["not_found"])
}

fn end_token(whose: Whose) -> Operation {
    whose
        .operation("DELETE", TOKEN, ["endBotToken", "endAnyBotToken"], "Revoke a bot's token")
        .in_path("id", id(), ID)
        .in_path("token", id(), ID)
        .gives_nothing("It opens nothing any more; also when there was none.")
        .refuses(&["not_found"])
        .stores()
}

fn fresh() -> Value {
    object(token_fields(), Vec::new())
}

fn token_fields() -> Vec<Field> {
    vec![
        ("token", said(secret(), "Shown this once.")),
        ("id", said(id(), "By which it is revoked.")),
        ("token_name", text(0, DEVICE_NAME_CHARS_MAX)),
        ("scopes", scopes()),
    ]
}

fn scopes() -> Value {
    list(json!({ "type": "string", "enum": ["read", "send", "connect"] }), 3)
}
