"use strict";
// The dials of a picture: the map is drawn anew from its bytes, the circles and the list of the stop are shown.
const AMBER = [255, 150, 20], AZURE = [90, 170, 255], FINER = 4;

const sheet = (width, height) => {
  const made = document.createElement("canvas");
  made.width = width;
  made.height = height;
  return made;
};

// What speaks against is striped, so that it can be told from what speaks for in grey.
const stripes = (() => {
  const tile = sheet(14, 14), brush = tile.getContext("2d");
  brush.lineWidth = 5;
  for (const shift of [-14, 0, 14]) {
    brush.moveTo(shift - 2, 16);
    brush.lineTo(shift + 16, -2);
  }
  brush.stroke();
  return tile;
})();

for (const film of document.querySelectorAll(".film")) {
  const width = Number(film.dataset.width), height = Number(film.dataset.height);
  const bytes = Int8Array.from(atob(film.dataset.map), (one) => one.charCodeAt(0));
  const stops = film.dataset.stops.split(" ").map(Number);
  const find = (name) => film.querySelector(name);
  const dial = find(".dial"), opacity = find(".opacity"), circles = find(".circles"), contra = find(".contra");
  const live = find(".live"), brush = live.getContext("2d");
  live.width = FINER * width;
  live.height = FINER * height;

  const tinted = (colour, alpha) => {
    const image = new ImageData(width, height), small = sheet(width, height), large = sheet(live.width, live.height);
    for (let place = 0; place < bytes.length; place += 1) {
      for (let part = 0; part < 3; part += 1) image.data[4 * place + part] = colour[part];
      image.data[4 * place + 3] = 255 * alpha(bytes[place]);
    }
    small.getContext("2d").putImageData(image, 0, 0);
    const into = large.getContext("2d");
    into.imageSmoothingQuality = "high";
    into.drawImage(small, 0, 0, large.width, large.height);
    return large;
  };

  const draw = () => {
    const stop = Number(dial.value), least = 127 * (1 - stops[stop]) - 0.5;
    const kept = (value) => (value >= least ? 0.55 + 0.45 * value / 127 : 0.6 * value / 127);
    brush.clearRect(0, 0, live.width, live.height);
    brush.globalAlpha = Number(opacity.value) / 100;
    brush.drawImage(tinted(AMBER, (value) => (value > 0 ? kept(value) : 0)), 0, 0);
    if (contra.checked) {
      const against = tinted(AZURE, (value) => (value < 0 ? Math.min(1, -1.2 * value / 127) : 0));
      const into = against.getContext("2d");
      into.globalCompositeOperation = "destination-in";
      into.fillStyle = into.createPattern(stripes, "repeat");
      into.fillRect(0, 0, against.width, against.height);
      brush.drawImage(against, 0, 0);
    }
    for (const part of film.querySelectorAll("g[data-stop]")) {
      const here = Number(part.dataset.stop) === stop && circles.checked;
      part.setAttribute("display", here ? "inline" : "none");
    }
    for (const part of film.querySelectorAll(".regions")) part.hidden = Number(part.dataset.stop) !== stop;
    const sensitivity = stops[stop].toFixed(2);
    film.querySelector(`output[for="${dial.id}"]`).value = sensitivity;
    film.querySelector(`output[for="${opacity.id}"]`).value = `${opacity.value} %`;
    dial.setAttribute("aria-valuetext", `sensitivity ${sensitivity}`);
    opacity.setAttribute("aria-valuetext", `${opacity.value} per cent`);
  };

  find(".dials").hidden = false;
  live.hidden = false;
  film.classList.add("dialled");
  for (const one of [dial, opacity, circles, contra]) one.addEventListener("input", draw);
  find(".dials").addEventListener("submit", (event) => event.preventDefault());
  draw();

  // Paper shows everyone the same: what the page opens with.
  const set = (values) => {
    [dial.value, opacity.value, circles.checked, contra.checked] = values;
    draw();
  };
  let chosen = null;
  addEventListener("beforeprint", () => {
    chosen = [dial.value, opacity.value, circles.checked, contra.checked];
    set([dial.defaultValue, opacity.defaultValue, true, false]);
  });
  addEventListener("afterprint", () => set(chosen));
}
