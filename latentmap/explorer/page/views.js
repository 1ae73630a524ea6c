// The views of the page, in the order of their tabs. A view is made of the spaces and the state; it
// has an `element`, an `update()` that is called when the state has changed, and a `close()`. A view
// is of models, unless what it `needs` of the spaces is something else.

import { LineView } from "./line.js";
import { MoveView } from "./move.js";
import { PointsView } from "./points.js";
import { SectorsView } from "./sectors.js";
import { OwnView } from "./own.js";
import { TracesView } from "./traces.js";

const hasModels = ({ source }) => source !== null;
const hasTrainings = ({ trainings }) => trainings.length > 0;

const VIEWS = [
  { name: "move", title: "Move a code", View: MoveView },
  { name: "line", title: "A to B", View: LineView },
  { name: "points", title: "Points", View: PointsView },
  { name: "sectors", title: "Sectors", View: SectorsView },
  { name: "own", title: "Your own image", View: OwnView },
  { name: "traces", title: "Traces", View: TracesView, needs: hasTrainings },
];

/** The views of what is explored. */
export function viewsOf(spaces) {
  return VIEWS.filter(({ needs = hasModels }) => needs(spaces));
}
