// The views of the page, in the order of their tabs. A view is made of the spaces and the state; it
// has an `element`, an `update()` that is called when the state has changed, and a `close()`.

import { MoveView } from "./move.js";
import { SectorsView } from "./sectors.js";

export const VIEWS = [
  { name: "move", title: "Move a code", View: MoveView },
  { name: "sectors", title: "Sectors", View: SectorsView },
];
