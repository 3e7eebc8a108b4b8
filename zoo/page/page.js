// The gallery's page. The build writes gallery.js, which defines `galleryData`. `ort` is ONNX Runtime Web. Images are
// Float32Arrays of height x width x channels in [0, 1], like the inputs and outputs of the ONNX models.
//
// `gallery` is for tests. `gallery.last` is what the page shows: {alpha, live, pair, ends, models: {name: {kind, image,
// critic, angle, distance}}}. `pair` is -1 if the images are not an example. `ends` and `image` are null if precomputed
// pictures are shown. `gallery.line(degrees, size)` draws a line; `gallery.nearest(image, size)` finds the nearest one.
'use strict';

const {datasets, models, texts, steps, templates} = window.galleryData;
const THUMBNAILS = 11; // per path: every second step
const byName = new Map(models.map((model) => [model.name, model]));
const find = (selector) => document.querySelector(selector);
const addressOf = (model, file) => `models/${encodeURIComponent(model.name)}/${file}`;
// Resolves after the next repaint and after pending input.
const drawn = () => new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); });

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// Lines, drawn as in acai_tf/data/lines.py. The nearest one is found as in acai_tf/metrics/lines.py.

function line(degrees, size) {
  const image = new Float32Array(size * size);
  const angle = degrees / 180 * Math.PI;
  const across = (size / 2 - 1) * Math.cos(angle), down = -(size / 2 - 1) * Math.sin(angle);
  const upright = Math.abs(across) <= Math.abs(down); // the major axis is the vertical
  const [minor, major] = upright ? [across, down] : [down, across];
  const [x0, y0] = [minor, major].map((end) => size / 2 + (major < 0 ? end : 0));
  for (let y = Math.floor(y0); y < Math.ceil(y0 + Math.abs(major)); y++) {
    const weight = y < Math.ceil(y0) ? Math.ceil(y0) - y0 : 1;
    const left = x0 - 1 + (y - y0 - 0.5) * minor / major;
    for (let x = 0; x < size; x++) {
      const covered = Math.max(0, Math.min(x + 1, left + 2) - Math.max(x, left));
      image[upright ? y * size + x : x * size + y] = Math.min(1, weight * covered);
    }
  }
  return image;
}

const directions = new Map(); // size -> [templates, size * size] lines in [-1, 1], of norm 1

function directionsOf(size) {
  if (!directions.has(size)) {
    const lines = new Float32Array(templates * size * size);
    for (let k = 0; k < templates; k++) {
      const image = line(360 / templates * k, size).map((value) => 2 * value - 1);
      const norm = Math.hypot(...image);
      lines.set(image.map((value) => value / norm), k * image.length);
    }
    directions.set(size, lines);
  }
  return directions.get(size);
}

function nearest(image, size) {
  const lines = directionsOf(size);
  const given = Float64Array.from(image, (value) => 2 * value - 1);
  const norm = Math.hypot(...given);
  let best = -Infinity, chosen = 0;
  for (let k = 0; k < templates; k++) {
    let product = 0;
    for (let i = 0; i < given.length; i++) product += given[i] * lines[k * given.length + i];
    if (product > best) [best, chosen] = [product, k];
  }
  return {angle: 360 / templates * chosen, distance: norm ? 1 - best / norm : 1};
}

// Interpolation between latents, as in acai_tf/interpolation.py.

const lerp = (first, second, alpha) => first.map((value, i) => value + alpha * (second[i] - value));

function slerp(first, second, alpha) {
  const [a, b] = [Math.hypot(...first), Math.hypot(...second)];
  const cosine = first.reduce((sum, value, i) => sum + value * second[i], 0) / (a * b);
  const omega = Math.acos(Math.min(1, Math.max(-1, cosine))), sine = Math.sin(omega);
  if (!(a * b > 0 && sine > 1e-3)) return lerp(first, second, alpha);
  return first.map((value, i) => (Math.sin((1 - alpha) * omega) * value + Math.sin(alpha * omega) * second[i]) / sine);
}

function gaussian(first, second, alpha) {
  const norm = Math.hypot(1 - alpha, alpha);
  return first.map((value, i) => ((1 - alpha) * value + alpha * second[i]) / norm);
}

const mixes = {linear: lerp, spherical: slerp, gaussian}; // by the kind of path

// The kind of path that is shown for a model: the selected one if available, else the straight one. Shortest paths are
// found by gradient descent, which does not run in the browser. They are precomputed for the examples only.
function kindOf(model) {
  const kind = find('#kind').value;
  return kind in model.readings && (kind !== 'geodesic' || state.pair >= 0) ? kind : 'linear';
}

const sourceOf = (model) => (kindOf(model) === 'geodesic' ? precomputed : state.source);

const turn = (from, to) => ((to - from) % 360 + 540) % 360 - 180; // the shorter way, degrees in [-180, 180)

// Sources of the images: `precomputed` pictures or `live` models. `path` returns `steps` points from alpha 0 to 1, `at`
// returns one. A point has `image`, or `sheet`, `row` and `column` of a picture, and where they apply `critic`, `angle`
// and `distance`.

const sheets = new Map();

async function sheetOf(address) {
  if (!sheets.has(address)) {
    const picture = new Image();
    picture.src = address;
    await picture.decode();
    sheets.set(address, picture);
  }
  return sheets.get(address);
}

const precomputed = {
  async path(model) {
    const kind = kindOf(model), row = state.pair;
    const sheet = await sheetOf(addressOf(model, `${kind}.png`));
    return Array.from({length: steps}, (_, column) => ({
      sheet, row, column,
      ...Object.fromEntries(Object.entries(model.readings[kind]).map(([name, rows]) => [name, rows[row][column]]))}));
  },
  async at(model, alpha) {
    return (await this.path(model))[Math.round(alpha * (steps - 1))];
  },
};

const live = {
  sessions: new Map(),
  codes: new Map(), // model's name -> {ends, codes}

  async session(model, part) {
    const address = addressOf(model, `${part}.onnx`);
    if (!this.sessions.has(address)) this.sessions.set(address, await ort.InferenceSession.create(address));
    return this.sessions.get(address);
  },
  async open(model) {
    for (const part of model.parts) await this.session(model, part);
  },
  opened(model) {
    return model.parts.every((part) => this.sessions.has(addressOf(model, `${part}.onnx`)));
  },
  async run(model, part, data, shape) {
    const session = await this.session(model, part);
    const count = data.length / shape.reduce((product, n) => product * n);
    const answer = await session.run({[session.inputNames[0]]: new ort.Tensor('float32', data, [count, ...shape])});
    return answer[session.outputNames[0]].data;
  },
  async points(model, [first, second], alphas) {
    const {shape, lines} = datasets[model.dataset];
    const codes = new Float32Array(alphas.length * first.length);
    const mix = mixes[kindOf(model)];
    alphas.forEach((alpha, k) => codes.set(mix(first, second, alpha), k * first.length));
    const images = await this.run(model, 'decode', codes, model.code);
    const critic = model.parts.includes('critic') && await this.run(model, 'critic', images, shape);
    const size = images.length / alphas.length;
    return alphas.map((_, k) => {
      const image = images.slice(k * size, (k + 1) * size);
      return {image, ...(critic && {critic: critic[k]}), ...(lines && nearest(image, shape[0]))};
    });
  },
  async codesOf(model) {
    const {ends} = state; // Replaced as a whole when one end changes.
    if (this.codes.get(model.name)?.ends !== ends) {
      const both = new Float32Array([...ends[0], ...ends[1]]);
      const latents = await this.run(model, 'encode', both, datasets[model.dataset].shape);
      const half = latents.length / 2;
      this.codes.set(model.name, {ends, codes: [latents.slice(0, half), latents.slice(half)]});
    }
    return this.codes.get(model.name).codes;
  },
  async path(model) {
    const alphas = Array.from({length: steps}, (_, k) => k / (steps - 1));
    return this.points(model, await this.codesOf(model), alphas);
  },
  async at(model, alpha) {
    const [point] = await this.points(model, await this.codesOf(model), [alpha]);
    return point;
  },
};

// Drawing.

function paint(canvas, point, [height, width, channels], column = 0) {
  const context = canvas.getContext('2d');
  if (point.sheet) {
    context.drawImage(point.sheet, point.column * width, point.row * height, width, height,
                      column * width, 0, width, height);
    return;
  }
  const pixels = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) {
      pixels.data[4 * i + c] = Math.round(255 * point.image[i * channels + (channels === 3 ? c : 0)]); // clamped
    }
    pixels.data[4 * i + 3] = 255;
  }
  context.putImageData(pixels, column * width, 0);
}

function pixels(picture, [height, width, channels]) { // the middle square of a picture as an image
  const canvas = make('canvas', {width, height});
  const context = canvas.getContext('2d', {willReadFrequently: true});
  const side = Math.min(picture.width, picture.height);
  context.imageSmoothingQuality = 'high';
  context.fillRect(0, 0, width, height); // black behind transparent pixels
  context.drawImage(picture, (picture.width - side) / 2, (picture.height - side) / 2, side, side, 0, 0, width, height);
  const {data} = context.getImageData(0, 0, width, height);
  return Float32Array.from({length: width * height * channels}, (_, i) => {
    const at = 4 * Math.floor(i / channels);
    return (channels === 3 ? data[at + i % 3] : 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2]) / 255;
  });
}

const degrees = (angle) => `${Math.round(angle)}°`;

function said(point) { // the measurements of a point in words
  const parts = [];
  if ('angle' in point) parts.push(`nearest line at ${degrees(point.angle)}, distance ${point.distance.toFixed(4)}`);
  if ('critic' in point) parts.push(`critic reads alpha ${point.critic.toFixed(2)}`);
  return parts.join(', ');
}

// What the page shows. `ends` are images, or null if there are only pictures of them; `angles` are of the sliders.

const state = {dataset: models[0]?.dataset, pair: 0, ends: null, angles: [0, 0], names: ['', ''], source: precomputed};
window.gallery = {last: null, line, nearest};

const shown = () => datasets[state.dataset];
const slider = find('#alpha');
const alphaNow = () => Number(slider.value);
const panels = new Map(); // model's name -> its elements

function panelOf(model) {
  const [height, width] = shown().shape;
  const panel = {
    picture: make('canvas', {width, height, role: 'img', className: 'pixels'}),
    strip: make('canvas', {width: width * THUMBNAILS, height, role: 'img', className: 'pixels strip'}),
    chart: make('div', {className: 'chart', role: 'img'}), caption: make('p', {className: 'small'}),
    figures: make('dl'), note: make('p', {className: 'small'}), path: null, of: null, // what `path` is of
  };
  const side = [...(shown().lines ? [panel.chart, panel.caption] : []), panel.figures, panel.note];
  panel.element = make('article', {}, make('h2', {}, model.title), make('p', {className: 'small about'}, model.about),
                       make('div', {className: 'inner'}, panel.picture, panel.strip,
                            make('div', {className: 'side'}, ...side)));
  if (model.parts.includes('critic')) {
    panel.element.append(make('p', {className: 'small'}, 'The critic was trained to estimate alpha (or 1 - alpha, if '
      + 'that is smaller) from the image. The model was trained to make this estimate 0.'));
  }
  return panel;
}

function writeFigures(panel, point) {
  const rows = [];
  if ('angle' in point) rows.push(['nearest line', degrees(point.angle)], ['distance', point.distance.toFixed(4)]);
  if ('critic' in point) rows.push(["critic's alpha", point.critic.toFixed(2)]);
  panel.figures.replaceChildren(...rows.map(([name, value]) => make('div', {}, make('dt', {}, name),
                                                                    make('dd', {}, value))));
}

function unwrapped(points) { // degrees turned since the first point
  let turned = 0;
  return points.map((point, k) => (turned += k ? turn(points[k - 1].angle, point.angle) : 0));
}

function drawCharts(chosen, alpha) { // on one scale
  const curves = chosen.map((model) => unwrapped(panels.get(model.name).path));
  const straight = turn(...state.angles), even = Math.abs(straight) / (steps - 1);
  const low = Math.min(0, straight, ...curves.flat()), high = Math.max(0, straight, ...curves.flat());
  const y = (turned) => 100 - 100 * (turned - low) / Math.max(1, high - low);
  chosen.forEach((model, i) => {
    const {chart, caption} = panels.get(model.name), curve = curves[i];
    const points = curve.map((turned, k) => `${100 * k / (steps - 1)},${y(turned)}`).join(' ');
    const largest = Math.max(...curve.slice(1).map((turned, k) => Math.abs(turned - curve[k])));
    chart.innerHTML = `<svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
      <path class="even" d="M0,${y(0)} L100,${y(straight)}"/><polyline points="${points}"/>
      <path class="now" d="M${100 * alpha},0 V100"/></svg>`;
    caption.textContent = `Angle over alpha; the dashed line is an even turn. Largest of ${steps - 1} steps: `
      + `${largest.toFixed(1)}°; an even step: ${even.toFixed(1)}°.`;
    chart.setAttribute('aria-label', `The line turns by ${degrees(curve[steps - 1])} from alpha 0 to 1.`);
  });
}

function drawPoint(model, point, alpha) {
  const {picture} = panels.get(model.name);
  paint(picture, point, shown().shape);
  picture.setAttribute('aria-label', `${model.title} at alpha ${alpha.toFixed(2)}: ${said(point) || 'an image'}`);
  writeFigures(panels.get(model.name), point);
  const {note} = panels.get(model.name);
  note.textContent = kindOf(model) === find('#kind').value ? ''
    : `This is the straight path: ${find('#kind').value === 'gaussian' ? 'this model has no prior N(0, I)'
      : 'geodesic' in model.readings ? 'shortest paths are available for the examples only'
        : 'this model has discrete latents and no shortest path'}.`;
  note.hidden = !note.textContent;
}

function drawStrip(model) {
  const {strip, path} = panels.get(model.name);
  for (let k = 0; k < THUMBNAILS; k++) {
    paint(strip, path[Math.round(k * (steps - 1) / (THUMBNAILS - 1))], shown().shape, k);
  }
  strip.setAttribute('aria-label', `${model.title}: ${THUMBNAILS} images from alpha 0 to 1`);
}

async function show() {
  const {source, ends, pair} = state, kind = find('#kind').value, alpha = alphaNow(), points = new Map();
  const chosen = models.filter((model) => panels.has(model.name));
  for (const model of chosen) {
    if (source === live && !live.opened(model)) {
      say(`Loading ${model.title} …`);
      await live.open(model);
      say('');
    }
    points.set(model.name, await sourceOf(model).at(model, alpha));
  }
  const same = () => chosen.every((model) => panels.has(model.name)) && state.source === source
    && state.pair === pair && find('#kind').value === kind;
  if (!same()) return; // The user has changed something meanwhile; that is shown next.
  chosen.forEach((model) => drawPoint(model, points.get(model.name), alpha));
  announce(`alpha ${alpha.toFixed(2)}. ` + chosen.map((model) => `${model.title}: ${said(points.get(model.name))}`)
    .join('; '));
  gallery.last = {alpha, live: source === live, pair, ends, models: Object.fromEntries(chosen.map((model) => {
    const {image = null, critic, angle, distance} = points.get(model.name);
    return [model.name, {kind: kindOf(model), image, critic, angle, distance}];
  }))};
  for (const model of chosen) { // Whole paths take longer, so they wait until nothing else is requested.
    const of = [source, ends, pair, kindOf(model)];
    if (panels.get(model.name).of?.every((value, i) => value === of[i])) continue;
    await drawn();
    if (asked || !same()) return;
    const path = await sourceOf(model).path(model);
    if (!same()) return;
    Object.assign(panels.get(model.name), {path, of});
    drawStrip(model);
  }
  if (shown().lines) drawCharts(chosen, alpha);
}

let asked = false, running = false;

async function update() { // While an update runs, only the last request is kept.
  find('#number').textContent = alphaNow().toFixed(2);
  slider.setAttribute('aria-valuetext', alphaNow().toFixed(2));
  showSentences();
  asked = true;
  if (running) return;
  running = true;
  try {
    while (asked) {
      asked = false;
      try {
        await show();
      } catch (error) {
        if (state.source !== live) throw error;
        fallBack(error);
        asked = true;
      }
    }
  } finally {
    running = false;
  }
}

let timer;

function announce(text) { // after a pause, so that a screen reader does not read every step
  clearTimeout(timer);
  timer = setTimeout(() => { find('#reading').textContent = text; }, 400);
}

function say(text) {
  find('#notice').textContent = text;
  find('#notice').hidden = !text;
}

// The two ends.

const SIDES = ['A', 'B'];
const endOf = []; // their elements

function makeEnds() {
  const [height, width] = shown().shape;
  const lines = shown().lines;
  endOf.length = 0;
  find('#ends').replaceChildren(...SIDES.map((side, i) => {
    const end = {canvas: make('canvas', {width, height, role: 'img', className: 'pixels'}),
                 upload: make('input', {type: 'file', accept: 'image/*', disabled: true})};
    endOf.push(end);
    end.upload.addEventListener('change', () => uploaded(i, end.upload.files[0]));
    const children = [make('legend', {}, `Image ${side}`), end.canvas];
    if (lines) {
      end.angle = make('input', {type: 'range', min: 0, max: 359, step: 1, disabled: true, autocomplete: 'off'});
      end.angle.addEventListener('input', () => turned(i, Number(end.angle.value)));
      end.angle.setAttribute('aria-label', `angle of image ${side} in degrees`);
      end.number = make('span', {className: 'number'});
      children.push(make('div', {className: 'angle'}, 'angle ', end.number, end.angle));
      end.canvas.classList.add('turns');
      for (const event of ['pointerdown', 'pointermove']) {
        end.canvas.addEventListener(event, (pointer) => {
          if (!pointer.buttons || end.angle.disabled) return;
          if (event === 'pointerdown') end.canvas.setPointerCapture(pointer.pointerId);
          const box = end.canvas.getBoundingClientRect();
          const angle = Math.atan2(box.top + box.height / 2 - pointer.clientY,
                                   pointer.clientX - box.left - box.width / 2);
          turned(i, Math.round(angle / Math.PI * 180 + 360) % 360);
        });
      }
    }
    children.push(make('label', {className: 'button'}, 'Upload …', end.upload));
    return make('fieldset', {}, ...children);
  }));
  for (const canvas of document.querySelectorAll('.alpha canvas')) Object.assign(canvas, {width, height});
}

function enable() { // the controls that need live models
  for (const {angle, upload} of endOf) {
    upload.disabled = state.source !== live;
    if (angle) angle.disabled = state.source !== live;
  }
}

function drawEnds(points) {
  points.forEach((point, i) => {
    const {canvas, angle, number} = endOf[i];
    for (const drawn of [canvas, document.querySelectorAll('.alpha canvas')[i]]) paint(drawn, point, shown().shape);
    canvas.setAttribute('aria-label', `Image ${SIDES[i]}: ${state.names[i]}`);
    if (angle) {
      angle.value = Math.round(state.angles[i]) % 360;
      number.textContent = degrees(state.angles[i]);
    }
  });
}

function setEnd(i, image, name, angle) {
  state.ends = state.ends.map((old, k) => (k === i ? image : old));
  state.names[i] = name;
  if (shown().lines) state.angles[i] = angle;
  state.pair = -1;
  markPair();
  drawEnds(state.ends.map((end) => ({image: end})));
  update();
}

function turned(i, angle) {
  setEnd(i, line(angle, shown().shape[0]), `a line at ${degrees(angle)}`, angle);
}

async function uploaded(i, file) {
  if (!file) return;
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    say(`This browser cannot read ${file.name} as a picture. Use PNG or JPEG, for example.`);
    return;
  }
  say('');
  const image = pixels(picture, shown().shape);
  setEnd(i, image, `${file.name}, uploaded`, shown().lines ? nearest(image, shown().shape[0]).angle : 0);
}

async function choosePair(pair) {
  const {angles, shape, sheet: address} = shown();
  const sheet = await sheetOf(address);
  const points = [0, 1].map((column) => ({sheet, row: pair, column}));
  state.pair = pair;
  state.names = angles ? angles[pair].map((angle) => `a line at ${degrees(angle)}`)
    : SIDES.map((side) => `example ${pair + 1}, ${side}`);
  if (angles) state.angles = [...angles[pair]];
  if (state.source === live) {
    state.ends = angles ? angles[pair].map((angle) => line(angle, shape[0])) : points.map((point) => {
      const canvas = make('canvas', {width: shape[1], height: shape[0]});
      paint(canvas, point, shape);
      return pixels(canvas, shape);
    });
  }
  markPair();
  drawEnds(points);
  await update();
}

function makePairs() {
  const {shape: [height, width], pairs, angles} = shown();
  find('#pairs').replaceChildren(...Array.from({length: pairs}, (_, pair) => {
    const canvas = make('canvas', {width: 2 * width, height, className: 'pixels'});
    sheetOf(shown().sheet).then((sheet) => [0, 1].forEach((column) => paint(
      canvas, {sheet, row: pair, column}, shown().shape, column)));
    const name = angles ? `lines at ${angles[pair].map(degrees).join(' and ')}` : `example ${pair + 1}`;
    const button = make('button', {type: 'button', title: name}, canvas);
    button.setAttribute('aria-label', name);
    button.addEventListener('click', () => choosePair(pair));
    return button;
  }));
}

function markPair() {
  find('#pairs').querySelectorAll('button').forEach(
    (button, pair) => button.setAttribute('aria-pressed', pair === state.pair));
}

// Which models.

function makeModels() {
  const here = models.filter((model) => model.dataset === state.dataset);
  panels.clear();
  find('#models').replaceChildren(make('h2', {}, 'Models'), ...here.map((model, i) => {
    const box = make('input', {type: 'checkbox', checked: i < 2, autocomplete: 'off'});
    box.addEventListener('change', () => choose(model, box.checked));
    if (box.checked) panels.set(model.name, panelOf(model));
    return make('label', {className: 'button'}, box, model.title);
  }));
  arrange();
}

function choose(model, wanted) {
  if (wanted) panels.set(model.name, panelOf(model));
  else panels.delete(model.name);
  arrange();
  update();
}

function arrange() { // in the order of the models, not in the order of selection
  find('#panels').replaceChildren(...models.filter((model) => panels.has(model.name)).map(
    (model) => panels.get(model.name).element));
}

// Sentences: paths decoded when the page was built, because models of sentences do not run in the browser.

function makeSentences() {
  find('#sentences').replaceChildren(...texts.map((text) => {
    const select = make('select', {autocomplete: 'off'}, ...text.paths.map((path, k) => make(
      'option', {value: k}, `${path[0]} → ${path[steps - 1]}`)));
    text.list = make('ol');
    text.select = select;
    select.addEventListener('change', () => { fillSentences(text); showSentences(); });
    fillSentences(text);
    return make('article', {}, make('h2', {}, `Between two sentences: ${text.title}`),
                make('p', {className: 'small about'}, `${text.about} These sentences were decoded when the page `
                  + 'was built, between the latents of two held-out sentences. The current alpha is marked.'),
                make('label', {}, 'From → to ', select), text.list);
  }));
}

function fillSentences(text) { // one item per range of alpha with the same sentence
  text.stretches = [];
  text.paths[select(text)].forEach((sentence, k) => {
    const last = text.stretches.at(-1);
    if (last && last.sentence === sentence) last.to = k;
    else text.stretches.push({sentence, from: k, to: k});
  });
  text.list.replaceChildren(...text.stretches.map(({sentence, from, to}) => make('li', {},
    make('span', {className: 'small'}, [...new Set([from, to])].map((k) => (k / (steps - 1)).toFixed(2)).join('–')),
    ' ', sentence)));
}

const select = (text) => Number(text.select.value);

function showSentences() {
  const k = Math.round(alphaNow() * (steps - 1));
  for (const text of texts) {
    text.stretches.forEach(({from, to}, i) => {
      if (from <= k && k <= to) text.list.children[i].setAttribute('aria-current', 'true');
      else text.list.children[i].removeAttribute('aria-current');
    });
  }
}

// Start with the precomputed pictures; switch to the models as soon as they are loaded.

function fallBack(error) {
  console.warn(error);
  state.source = precomputed;
  slider.step = 1 / (steps - 1);
  say('The models cannot run here'
    + (location.protocol === 'file:' ? ', because browsers load none from a file on disk' : '')
    + '. The page shows pictures of the examples, which the same models computed when it was built, in '
    + `${steps - 1} steps of alpha. To choose other images, serve this folder with a web server `
    + '(acai zoo gallery --serve).');
  enable();
  if (state.pair < 0) choosePair(0);
}

async function start() {
  const names = Object.keys(datasets);
  if (names.length > 1) {
    find('#datasets').hidden = false;
    find('#datasets select').append(...names.map((name) => make('option', {selected: name === state.dataset}, name)));
    find('#datasets select').addEventListener('change', (event) => {
      state.dataset = event.target.value;
      setUp();
      enable();
    });
  }
  makeSentences();
  slider.addEventListener('input', update);
  find('#kind').addEventListener('change', update);
  if (!models.length) return;
  await setUp();
  try {
    ort.env.wasm.numThreads = 1; // Several threads need headers that a plain server does not send.
    ort.env.wasm.wasmPaths = new URL('ort/', document.baseURI).href;
    say('Loading the models. Until then, the page shows precomputed pictures …');
    for (const name of panels.keys()) await live.open(byName.get(name));
    say('');
    state.source = live;
    enable();
    await choosePair(Math.max(0, state.pair));
  } catch (error) {
    fallBack(error);
  }
}

function setUp() { // for the selected data set
  find('#answer').hidden = !shown().lines;
  makeEnds();
  makePairs();
  makeModels();
  return choosePair(0);
}

start();
