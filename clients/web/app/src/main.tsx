import { render } from "preact";
import { start } from "./state/chat.js";
import { watchPlace } from "./state/look.js";
import { startWorker } from "./state/worker.js";
import "./style/base.css";
import "./style/page.css";
import "./style/talk.css";
import { App } from "./view/app.js";

watchPlace();
render(<App />, document.getElementById("app") as HTMLElement);
startWorker();
void start();
