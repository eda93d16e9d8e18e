// Where an image is on the stage: geometry alone. Lengths on the stage are CSS pixels.
// view: { scale (CSS pixels for one of the file), x, y (of its left upper corner) }

const MOST = 32; // CSS pixels for one pixel of the file
const MARGIN = 0.25; // fetched beyond each edge of what is seen

export function fitted(stage, image) {
  const scale = Math.min(stage.width / image.width, stage.height / image.height);
  return centred(stage, image, scale);
}

function centred(stage, image, scale) {
  return { scale, x: (stage.width - image.width * scale) / 2, y: (stage.height - image.height * scale) / 2 };
}

// The pixel at `point` stays where it is.
export function zoomed(view, factor, point, stage, image) {
  const least = fitted(stage, image).scale;
  const scale = Math.min(Math.max(view.scale * factor, least), Math.max(MOST, least));
  const ratio = scale / view.scale;
  return kept({ scale, x: point.x - (point.x - view.x) * ratio, y: point.y - (point.y - view.y) * ratio }, stage, image);
}

export function moved(view, dx, dy, stage, image) {
  return kept({ ...view, x: view.x + dx, y: view.y + dy }, stage, image);
}

// No empty stage beside an image that could fill it; what is smaller is centred.
export function kept(view, stage, image) {
  const middle = centred(stage, image, view.scale);
  const within = (at, size, room, otherwise) => (size <= room ? otherwise : Math.min(0, Math.max(room - size, at)));
  return {
    scale: view.scale,
    x: within(view.x, image.width * view.scale, stage.width, middle.x),
    y: within(view.y, image.height * view.scale, stage.height, middle.y),
  };
}

// What is seen and something around it: [left, top, width, height] in pixels of the file
export function seenBox(view, stage, image) {
  const edge = (at, size, room) => {
    const from = Math.max(0, Math.floor((-at - MARGIN * room) / view.scale));
    const to = Math.min(size, Math.ceil((room * (1 + MARGIN) - at) / view.scale));
    return [from, to - from];
  };
  const [left, width] = edge(view.x, image.width, stage.width);
  const [top, height] = edge(view.y, image.height, stage.height);
  return [left, top, width, height];
}

// Whether a box that was fetched shows all that is seen
export function covers(box, view, stage, image) {
  const [left, top, width, height] = box;
  const from = (at) => Math.max(0, -at / view.scale);
  return left <= from(view.x) + 1 && top <= from(view.y) + 1
    && left + width >= Math.min(image.width, (stage.width - view.x) / view.scale) - 1
    && top + height >= Math.min(image.height, (stage.height - view.y) / view.scale) - 1;
}
