export { CodecError } from "./codec.js";
export { Frame, FrameError, kindName } from "./frame.js";
export { directChannel, groupChannel, usersOf } from "./ids.js";
export { Session } from "./session/session.js";
