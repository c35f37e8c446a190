//! The beginning and the end of an account, and its password.

use serde_json::json;

use super::schema::{flag, id, named, object, request, said, secret, text};
use super::{Operation, Section};
use crate::name::NAME_CHARS_MAX;
use crate::password::{PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN};
use crate::routes::{ABOUT_CHARS_MAX, DEVICE_NAME_CHARS_MAX, DISPLAY_NAME_CHARS_MAX};

pub(super) fn section() -> Section {
    Section {
        tag: "accounts",
        about: "Sign-up, login, password, profile, the end of an account.",
        operations: vec![
            sign_up(),
            log_in(),
            log_in_by_jwt(),
            change_password(),
            change_profile(),
            delete_account(),
        ],
        schemas: Vec::new(),
    }
}

fn sign_up() -> Operation {
    let name = said(
        text(1, NAME_CHARS_MAX),
        "Letters and digits of one script, and `_`, `-`, `.` between them. Compared without case.",
    );
    let invite =
        said(secret(), "The code of an invite, where sign-up is by invitation; else it is not looked at.");
    Operation::new("POST", "/v1/signup", "signUp", "Make an account")
        .body(
            request(vec![("name", name), ("password", new_password())], vec![("invite", invite)]),
            json!({ "name": "ada", "password": "correct horse battery" }),
        )
        .gives(201, "The account exists. Log in next.", object(vec![("user", id())], Vec::new()))
        .refuses(&[
            "name_taken",
            "signup_closed",
            "invite_needed",
            "invite_unknown",
            "invite_expired",
            "invite_used",
        ])
        .refuses(&["rate"])
        .stores()
}

fn log_in() -> Operation {
    let mut fields = entry();
    fields.insert(
        0,
        ("code", said(secret(), "Of the authenticator app, or a recovery code, with a second factor.")),
    );
    Operation::new("POST", "/v1/login", "logIn", "Log a device in")
        .about(
            "Makes a device, unless `device` names one of an earlier login, and answers its tokens. Who shows an access \
             token of a device of the account, be it expired, does not wait for strangers who guess passwords.",
        )
        .known()
        .body(
            request(
                vec![
                    ("name", said(secret(), "Compared without case; a name that cannot be one is a wrong one.")),
                    ("password", secret()),
                ],
                fields,
            ),
            json!({ "name": "ada", "password": "correct horse battery", "device_name": "phone" }),
        )
        .gives(200, "The device is logged in.", named("Grant"))
        .refuses(&["code_required", "wrong_code", "not_found", "too_many_devices"])
        .asks_password()
        .stores()
}

fn log_in_by_jwt() -> Operation {
    let mut fields = entry();
    fields.insert(0, ("code", said(secret(), "As at a login, with a second factor.")));
    let jwt = said(secret(), "A JWT of an issuer that the operator trusts.");
    Operation::new(
        "POST",
        "/v1/login/jwt",
        "logInByJwt",
        "Log a device in with a token of an identity provider",
    )
    .about("Makes an account for one who was never seen, if the issuer's rule says so.")
    .body(request(vec![("jwt", jwt)], fields), json!({ "jwt": "eyJhbGciOiJub25lIn0.e30." }))
    .gives(200, "The device is logged in.", named("Grant"))
    .refuses(&["no_issuers", "no_account", "code_required", "wrong_code", "not_found", "too_many_devices"])
    .refuses(&["expired", "rate", "name_taken"])
    .refuses(JWT)
    .stores()
}

/// What a token of an issuer can be refused for.
const JWT: &[&str] = &[
    "jwt_malformed",
    "jwt_algorithm",
    "jwt_issuer",
    "jwt_unknown_key",
    "jwt_forged",
    "jwt_claims",
    "jwt_expired",
    "jwt_not_yet",
    "jwt_audience",
    "jwt_revoked",
    "issuer_unreachable",
];

/// Which device a login is for.
fn entry() -> Vec<super::schema::Field> {
    vec![
        ("device", said(id(), "A device of the account that goes on.")),
        ("replace", said(id(), "A device that gives its place to the new one. Not with `device`.")),
        ("device_name", said(text(1, DEVICE_NAME_CHARS_MAX), "How its owner will know it: one line.")),
    ]
}

fn change_password() -> Operation {
    let keep = said(flag(), "The other devices stay logged in. False unless it is said.");
    Operation::new("POST", "/v1/password", "changePassword", "Change the password")
        .about("Every older token of the user is refused from now on, unless the devices are kept: use the new ones.")
        .bearer()
        .body(
            request(vec![("old", secret()), ("new", new_password())], vec![("keep_devices", keep)]),
            json!({ "old": "correct horse battery", "new": "staple battery horse" }),
        )
        .gives(200, "It is changed.", named("Grant"))
        .refuses(&["not_found"])
        .asks_password()
        .stores()
}

fn change_profile() -> Operation {
    Operation::new("PATCH", "/v1/profile", "changeProfile", "Change what others see of one")
        .about("What is absent stays; an empty text takes away.")
        .bearer()
        .body(
            request(
                Vec::new(),
                vec![
                    ("display_name", said(text(0, DISPLAY_NAME_CHARS_MAX), "One line.")),
                    ("about", said(text(0, ABOUT_CHARS_MAX), "It may have line breaks.")),
                ],
            ),
            json!({ "display_name": "Ada L.", "about": "Mathematician" }),
        )
        .gives(200, "All of it, as a look-up gives it.", named("User"))
        .refuses(&["not_found"])
        .stores()
}

fn delete_account() -> Operation {
    let jwt = said(secret(), "In place of the password: a token by which the account logs in.");
    Operation::new("POST", "/v1/account/delete", "deleteAccount", "Erase one's account")
        .about("Expected is either `password` or `jwt`.")
        .bearer()
        .body(
            request(Vec::new(), vec![("password", secret()), ("jwt", jwt)]),
            json!({ "password": "correct horse battery" }),
        )
        .gives_nothing("The account is no more.")
        .refuses(&["not_found", "no_issuers", "no_account", "no_password"])
        .refuses(JWT)
        .asks_password()
        .stores()
}

/// A password that is to be.
pub(super) fn new_password() -> serde_json::Value {
    said(
        text(PASSWORD_CHARS_MIN, PASSWORD_CHARS_MAX),
        "No control character; none of the 5,000 most common ones; not the name with fewer than 4 characters beside it.",
    )
}
