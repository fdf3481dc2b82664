// Entry of the pages' script. The pages read and work without it; it adds live updates, keys and local time.
import "htmx.org";
import "htmx.org/dist/ext/hx-sse.js";
import { startClock } from "./clock.js";
import { startKeys } from "./keys.js";
import { startLive } from "./live.js";
import { startTheme } from "./theme.js";

startTheme();
startClock();
startKeys();
startLive();
