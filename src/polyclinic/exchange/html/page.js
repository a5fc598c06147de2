"use strict";
// The controls of an image: redraw the map from its bytes, and show the circles and the list of the selected stop.
const AMBER = [255, 150, 20], AZURE = [90, 170, 255], UPSCALING = 4;

const newCanvas = (width, height) => {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
};

// Negative scores are striped, to differ from positive ones in grey.
const stripes = (() => {
  const tile = newCanvas(14, 14), brush = tile.getContext("2d");
  brush.lineWidth = 5;
  for (const shift of [-14, 0, 14]) {
    brush.moveTo(shift - 2, 16);
    brush.lineTo(shift + 16, -2);
  }
  brush.stroke();
  return tile;
})();

for (const section of document.querySelectorAll(".heat-map")) {
  const width = Number(section.dataset.width), height = Number(section.dataset.height);
  const bytes = Int8Array.from(atob(section.dataset.map), (byte) => byte.charCodeAt(0));
  const stops = section.dataset.stops.split(" ").map(Number);
  const find = (name) => section.querySelector(name);
  const slider = find(".sensitivity"), opacity = find(".opacity"), circles = find(".show-circles"), negative = find(".show-negative");
  const live = find(".live"), brush = live.getContext("2d");
  live.width = UPSCALING * width;
  live.height = UPSCALING * height;

  const tinted = (colour, alpha) => {
    const image = new ImageData(width, height), small = newCanvas(width, height), large = newCanvas(live.width, live.height);
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
    const stop = Number(slider.value), least = 127 * (1 - stops[stop]) - 0.5;
    const kept = (value) => (value >= least ? 0.55 + 0.45 * value / 127 : 0.6 * value / 127);
    brush.clearRect(0, 0, live.width, live.height);
    brush.globalAlpha = Number(opacity.value) / 100;
    brush.drawImage(tinted(AMBER, (value) => (value > 0 ? kept(value) : 0)), 0, 0);
    if (negative.checked) {
      const striped = tinted(AZURE, (value) => (value < 0 ? Math.min(1, -1.2 * value / 127) : 0));
      const into = striped.getContext("2d");
      into.globalCompositeOperation = "destination-in";
      into.fillStyle = into.createPattern(stripes, "repeat");
      into.fillRect(0, 0, striped.width, striped.height);
      brush.drawImage(striped, 0, 0);
    }
    for (const part of section.querySelectorAll("g[data-stop]")) {
      const here = Number(part.dataset.stop) === stop && circles.checked;
      part.setAttribute("display", here ? "inline" : "none");
    }
    for (const part of section.querySelectorAll(".regions")) part.hidden = Number(part.dataset.stop) !== stop;
    const sensitivity = stops[stop].toFixed(2);
    section.querySelector(`output[for="${slider.id}"]`).value = sensitivity;
    section.querySelector(`output[for="${opacity.id}"]`).value = `${opacity.value} %`;
    slider.setAttribute("aria-valuetext", `sensitivity ${sensitivity}`);
    opacity.setAttribute("aria-valuetext", `${opacity.value} per cent`);
  };

  find(".controls").hidden = false;
  live.hidden = false;
  section.classList.add("interactive");
  for (const input of [slider, opacity, circles, negative]) input.addEventListener("input", draw);
  find(".controls").addEventListener("submit", (event) => event.preventDefault());
  draw();

  // Print what the page opened with.
  const set = (values) => {
    [slider.value, opacity.value, circles.checked, negative.checked] = values;
    draw();
  };
  let saved = null;
  addEventListener("beforeprint", () => {
    saved = [slider.value, opacity.value, circles.checked, negative.checked];
    set([slider.defaultValue, opacity.defaultValue, true, false]);
  });
  addEventListener("afterprint", () => set(saved));
}
