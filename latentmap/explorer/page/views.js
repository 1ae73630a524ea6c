// The views of the page, in the order of their tabs. A view is made of the spaces and the state; it
// has an `element`, an `update()` that is called when the state has changed, and a `close()`. What
// it `needs` of the spaces says whether it is there.

import { LineView } from "./line.js";
import { MoveView } from "./move.js";
import { PointsView } from "./points.js";
import { SectorsView } from "./sectors.js";
import { OwnView } from "./own.js";
import { TracesView } from "./traces.js";

const models = ({ source }) => source !== null;

export const VIEWS = [
  { name: "move", title: "Move a code", View: MoveView, needs: models },
  { name: "line", title: "A to B", View: LineView, needs: models },
  { name: "points", title: "Points", View: PointsView, needs: models },
  { name: "sectors", title: "Sectors", View: SectorsView, needs: models },
  { name: "own", title: "Your own image", View: OwnView, needs: models },
  { name: "traces", title: "Traces", View: TracesView, needs: ({ trainings }) => trainings.length > 0 },
];
