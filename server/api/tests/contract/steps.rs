//! A life of one person and one operator in which every operation is asked once or more, with the example of its document.
//! Only what an example cannot know, ids and secrets of earlier answers, is put in its place.

/// One request.
pub struct Step {
    /// Its `operationId`.
    pub operation: &'static str,
    /// Fields of the body, and parameters, that are not the example's.
    pub fill: &'static [(&'static str, Fill)],
    /// What is kept of the answer: under which name, and where it is.
    pub keep: &'static [(&'static str, &'static str)],
    /// Which answer it is.
    pub status: u16,
}

/// What takes an example's place.
#[derive(Clone, Copy)]
pub enum Fill {
    /// What was kept under this name.
    Kept(&'static str),
    /// What an authenticator app shows, which has the secret that was kept under this name.
    Code(&'static str),
    /// This.
    Text(&'static str),
}

use Fill::{Code, Kept, Text};

type Fills = &'static [(&'static str, Fill)];
type Keeps = &'static [(&'static str, &'static str)];

const fn step(operation: &'static str, status: u16, fill: Fills, keep: Keeps) -> Step {
    Step { operation, fill, keep, status }
}

/// A device's tokens. Every bearer's request has the `token` that was kept last.
const GRANT: Keeps = &[("token", "/token"), ("refresh", "/refresh"), ("device", "/device")];

pub const STEPS: &[Step] = &[
    step("health", 200, &[], &[]),
    step("readiness", 200, &[], &[]),
    step("metrics", 200, &[], &[]),
    step("document", 200, &[], &[]),
    step("page", 200, &[], &[]),
    step("pageScript", 200, &[], &[]),
    step("pageStyle", 200, &[], &[]),
    step("webApp", 200, &[], &[]),
    step("webAppWorker", 200, &[], &[]),
    // Which files there are depends on whether an app was built in.
    step("webAppFile", 404, &[], &[]),
    // Sign-up is by invitation.
    step("rotateKeys", 204, &[], &[]),
    step("listKeys", 200, &[], &[]),
    step("retireKey", 204, &[], &[]),
    step("giveFamily", 204, &[], &[]),
    step("listFamilies", 200, &[], &[]),
    step("returnFamily", 204, &[], &[]),
    step("drain", 204, &[], &[]),
    step("beginBackup", 202, &[], &[]),
    step("lastBackup", 200, &[], &[]),
    step("makeInvites", 201, &[], &[("code", "/invites/0/code"), ("other", "/invites/1/invite")]),
    step("listAllInvites", 200, &[], &[]),
    step("revokeAnyInvite", 204, &[("id", Kept("other"))], &[]),
    step("signUp", 201, &[("invite", Kept("code"))], &[("user", "/user")]),
    step("logIn", 200, &[], GRANT),
    // Nobody else's tokens are taken here; tests/jwt.rs has those that are.
    step("logInByJwt", 403, &[], &[]),
    step("renewTokens", 200, &[("refresh", Kept("refresh"))], GRANT),
    step("findRoute", 200, &[], &[]),
    step("listDevices", 200, &[], &[]),
    step("pushKey", 404, &[], &[]),
    step("subscribePush", 204, &[], &[]),
    step("listPushSubscriptions", 200, &[], &[]),
    step("unsubscribePush", 204, &[], &[]),
    step("turnPushOff", 204, &[], &[]),
    step("turnPushOn", 204, &[], &[]),
    step("listParkedPushes", 200, &[], &[]),
    step("testPush", 200, &[], &[]),
    step("findUserByName", 200, &[], &[]),
    step("makeUsers", 201, &[], &[]),
    step("findUserByName", 200, &[("name", Text("load000001"))], &[("friend", "/user")]),
    step("listUsers", 200, &[], &[]),
    step("seeUser", 200, &[("id", Kept("user"))], &[]),
    step("seeUserByName", 200, &[], &[]),
    step("setQuota", 200, &[("id", Kept("user"))], &[]),
    step("seeUserChannels", 200, &[("id", Kept("user"))], &[]),
    step("seeChannel", 200, &[], &[]),
    step("traceMessage", 200, &[], &[]),
    step("befriend", 200, &[("id", Kept("friend"))], &[]),
    step("listFriends", 200, &[], &[]),
    step("part", 204, &[("id", Kept("friend"))], &[]),
    step("block", 204, &[("id", Kept("friend"))], &[]),
    step("listBlocks", 200, &[], &[]),
    step("unblock", 204, &[("id", Kept("friend"))], &[]),
    step("sendToUser", 201, &[("id", Kept("friend"))], &[("channel", "/channel")]),
    step("listChannels", 200, &[], &[]),
    step("findChannel", 200, &[("id", Kept("channel"))], &[]),
    step("listMembers", 200, &[("id", Kept("channel"))], &[]),
    step("listMessages", 200, &[("id", Kept("channel"))], &[]),
    step("edit", 200, &[("id", Kept("channel"))], &[]),
    step("react", 200, &[("id", Kept("channel"))], &[]),
    step("takeBackReaction", 200, &[("id", Kept("channel"))], &[]),
    step("recall", 200, &[("id", Kept("channel"))], &[]),
    step("listEdits", 200, &[("id", Kept("channel"))], &[]),
    step("purgeChannel", 200, &[("id", Kept("channel"))], &[]),
    step("setRetention", 200, &[("id", Kept("channel"))], &[]),
    step("seeRetention", 200, &[("id", Kept("channel"))], &[]),
    step("exportMe", 200, &[], &[]),
    step("exportUser", 200, &[("id", Kept("user"))], &[]),
    step("exportChannel", 200, &[("id", Kept("channel"))], &[]),
    step("listThread", 200, &[("id", Kept("channel"))], &[]),
    step("listAbout", 200, &[("id", Kept("channel"))], &[]),
    step("listMentions", 200, &[], &[]),
    step("listReceipts", 200, &[("id", Kept("channel"))], &[]),
    step("seePresence", 200, &[("id", Kept("friend"))], &[]),
    step("setOwnPresence", 204, &[], &[]),
    step("seeOwnPresence", 200, &[], &[]),
    step("markRead", 204, &[("id", Kept("channel"))], &[]),
    step("send", 201, &[("id", Kept("channel"))], &[]),
    step("listRules", 200, &[], &[]),
    step("mute", 200, &[], &[]),
    step("unmute", 200, &[], &[]),
    step("ban", 200, &[], &[]),
    step("unban", 200, &[], &[]),
    step("slowDown", 200, &[], &[]),
    step("speedUp", 200, &[], &[]),
    step("report", 201, &[], &[("report", "/report")]),
    step("listReports", 200, &[], &[]),
    step("closeReport", 200, &[("id", Kept("report"))], &[]),
    step("closeReport", 409, &[("id", Kept("report"))], &[]),
    step("search", 200, &[("channel", Kept("channel"))], &[]),
    step("poll", 200, &[], &[]),
    step("endPoll", 204, &[], &[]),
    step("searchIndex", 200, &[], &[]),
    step("rebuildSearch", 204, &[], &[]),
    step("makeBot", 201, &[], &[("bot", "/bot")]),
    step("listBots", 200, &[], &[]),
    step("makeBotToken", 201, &[("id", Kept("bot"))], &[("bot_token", "/id")]),
    step("listBotTokens", 200, &[("id", Kept("bot"))], &[]),
    step("endBotToken", 204, &[("id", Kept("bot")), ("token", Kept("bot_token"))], &[]),
    step("endBot", 204, &[("id", Kept("bot"))], &[]),
    step("makeBotAsOperator", 201, &[("name", Text("herald"))], &[("bot", "/bot")]),
    step("listAllBots", 200, &[], &[]),
    step("makeAnyBotToken", 201, &[("id", Kept("bot"))], &[("bot_token", "/id")]),
    step("listAnyBotTokens", 200, &[("id", Kept("bot"))], &[]),
    step("endAnyBotToken", 204, &[("id", Kept("bot")), ("token", Kept("bot_token"))], &[]),
    step("endAnyBot", 204, &[("id", Kept("bot"))], &[]),
    step("privacy", 200, &[], &[]),
    step("setPrivacy", 200, &[], &[]),
    step("findUser", 200, &[("id", Kept("user"))], &[]),
    step("changeProfile", 200, &[], &[]),
    step("invite", 201, &[], &[("invite", "/invite")]),
    step("listInvites", 200, &[], &[]),
    step("revokeInvite", 204, &[("id", Kept("invite"))], &[]),
    step("secondFactor", 200, &[], &[]),
    step("beginSecondFactor", 200, &[], &[("secret", "/secret")]),
    step("confirmSecondFactor", 200, &[("code", Code("secret"))], &[("recovery", "/recovery_codes/0")]),
    step("renewRecoveryCodes", 200, &[("code", Kept("recovery"))], &[("recovery", "/recovery_codes/1")]),
    step("endSecondFactor", 204, &[("code", Kept("recovery"))], &[]),
    step("endSecondFactorOf", 204, &[], &[]),
    step("changePassword", 200, &[], GRANT),
    step("logOutAll", 200, &[], GRANT),
    // That of nobody: one's own would be the end of the token.
    step("removeDevice", 204, &[], &[]),
    step("logOut", 204, &[], &[]),
    step("makeToken", 201, &[], &[("token", "/token")]),
    step("revokeDevices", 204, &[], &[]),
    step("resetPassword", 204, &[], &[]),
    step("logIn", 200, &[], GRANT),
    step("deleteAccount", 204, &[], &[]),
    step("deleteUser", 204, &[("name", Text("load000001"))], &[]),
    step("beginErasure", 202, &[("user", Kept("user"))], &[]),
    step("listErasures", 200, &[], &[]),
];
