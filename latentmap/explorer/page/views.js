// The views of the page, in the order of their tabs. A view is made of the spaces and the state; it
// has an `element`, an `update()` that is called when the state has changed, and a `close()`.

import { LineView } from "./line.js";
import { MoveView } from "./move.js";
import { OwnView } from "./own.js";

export const VIEWS = [
  { name: "move", title: "Move a code", View: MoveView },
  { name: "line", title: "A to B", View: LineView },
  { name: "own", title: "Your own image", View: OwnView },
];
