//! Codes of an app beside the password.

use serde_json::{Value, json};

use super::schema::{flag, letters, list, number, object, request, said, secret, text};
use super::{Operation, Section};

pub(super) fn section() -> Section {
    Section {
        tag: "second factor",
        about: "Codes of an authenticator app (TOTP) beside the password, for whoever wants it.",
        operations: vec![state(), begin(), confirm(), recovery_codes(), off()],
        schemas: Vec::new(),
    }
}

fn state() -> Operation {
    let left = said(number(0, 10), "How many recovery codes are left.");
    Operation::new("GET", "/v1/two-factor", "secondFactor", "Whether the second factor is on").bearer().gives(
        200,
        "Its state.",
        object(vec![("on", flag()), ("recovery_codes", left)], Vec::new()),
    )
}

fn begin() -> Operation {
    let secret_ = said(letters("A-Z2-7", 32, 32), "Base 32, to be typed.");
    let uri = said(text(1, 4000), "`otpauth://...`, to be shown as a QR code.");
    Operation::new("POST", "/v1/two-factor", "beginSecondFactor", "Get a secret for an authenticator app")
        .about("It is not on before it is confirmed. Asked again, it gives another secret.")
        .bearer()
        .body(
            request(vec![("password", secret())], Vec::new()),
            json!({ "password": "correct horse battery" }),
        )
        .gives(200, "The secret.", object(vec![("secret", secret_), ("uri", uri)], Vec::new()))
        .refuses(&["not_found", "two_factor_on"])
        .asks_password()
        .stores()
}

fn confirm() -> Operation {
    Operation::new("POST", "/v1/two-factor/confirm", "confirmSecondFactor", "Turn the second factor on")
        .bearer()
        .body(request(vec![("code", code())], Vec::new()), json!({ "code": "123456" }))
        .gives(200, "It is on.", codes())
        .refuses(&["wrong_code", "rate", "two_factor_on", "two_factor_off"])
        .stores()
}

fn recovery_codes() -> Operation {
    Operation::new("POST", "/v1/two-factor/recovery-codes", "renewRecoveryCodes", "Get other recovery codes")
        .bearer()
        .body(both(), json!({ "password": "correct horse battery", "code": "123456" }))
        .gives(200, "The ones before are no more.", codes())
        .refuses(&["not_found", "wrong_code", "two_factor_off"])
        .asks_password()
        .stores()
}

fn off() -> Operation {
    Operation::new("POST", "/v1/two-factor/off", "endSecondFactor", "Turn the second factor off")
        .bearer()
        .body(both(), json!({ "password": "correct horse battery", "code": "123456" }))
        .gives_nothing("It is off; also when it was not on.")
        .refuses(&["not_found", "wrong_code"])
        .asks_password()
        .stores()
}

fn both() -> Value {
    request(vec![("password", secret()), ("code", code())], Vec::new())
}

fn code() -> Value {
    said(secret(), "Six digits of the app, or a recovery code. Spaces, dashes and case do not matter.")
}

fn codes() -> Value {
    let codes = said(list(text(19, 19), 10), "Ten texts, told this once.");
    object(vec![("recovery_codes", codes)], Vec::new())
}
