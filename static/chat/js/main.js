/** Creates the parts of the page and connects them. */

import { Chat } from "./chat.js";
import { History } from "./history.js";
import { Store } from "./store.js";
import { Page } from "./views.js";
import { Wire } from "./wire.js";

const store = new Store();
const chat = new Chat(new Wire(), store, new History());
new Page(store, chat);
