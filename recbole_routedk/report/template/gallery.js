"use strict";
// The gallery of sessions. Titles are text of strangers: every node is made here, and gets them by textContent alone.
(() => {
  const PAGE = 20;
  const WORDS = { right: "Right", partly: "Partly right", wrong: "Wrong" };
  const SIGNS = { right: "✓", partly: "◐", wrong: "✗" };
  const data = JSON.parse(document.getElementById("data").textContent);
  const by = (id) => document.getElementById(id);
  const form = by("filters");
  let shown = PAGE;

  function make(tag, className, text) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  const letter = (number) => (number < 26 ? String.fromCharCode(65 + number) : String(number + 1));

  function shared(left, right) {
    return left.filter((place) => right.includes(place)).length;
  }

  // The gold bundle that shares most with a predicted one, as "exact" or "2 of the 3 items of A".
  function judge(bundle, gold) {
    let best = -1, most = 0;
    gold.forEach((other, number) => {
      const both = shared(bundle, other);
      const alike = both / (bundle.length + other.length - both);
      if (alike > most) [best, most] = [number, alike];
    });
    if (best < 0) return "like no gold bundle";
    if (most === 1) return `exactly gold ${letter(best)}`;
    const both = shared(bundle, gold[best]), others = bundle.length - both;
    return `${both} of ${gold[best].length} of gold ${letter(best)}` + (others ? `, ${others} too many` : "");
  }

  function item(session, place, gold) {
    const line = make("li");
    line.append(make("span", "place", String(place + 1)));
    line.append(make("bdi", "title", session.titles[place] || "(no title)"));
    for (const number of gold) {
      const tag = make("span", `tag t${number % 6}`, letter(number));
      tag.title = `in gold bundle ${letter(number)}`;
      line.append(tag);
    }
    return line;
  }

  function group(session, places, head, note, className, membership) {
    const box = make("div", `bundle ${className}`);
    const top = make("p", "bundle-head");
    top.append(make("b", "", head));
    if (note) top.append(" ", make("bdi", "", note));
    const list = make("ol");
    for (const place of places) list.append(item(session, place, membership(place)));
    box.append(top, list);
    return box;
  }

  function column(title, session, bundles, describe, membership) {
    const side = make("div", "side");
    side.append(make("h4", "", title));
    bundles.forEach((places, number) => {
      const [head, note, className] = describe(places, number);
      side.append(group(session, places, head, note, className, membership));
    });
    if (!bundles.length) side.append(make("p", "none", "No bundle."));
    const rest = session.titles.map((_, place) => place).filter((place) => !bundles.some((b) => b.includes(place)));
    if (rest.length) side.append(group(session, rest, "In no bundle", "", "rest", membership));
    return side;
  }

  function gates(model, answer) {
    const line = make("div", "gates");
    answer.gates.forEach((gate, number) => {
      const share = `${Math.round(gate * 100)}%`;
      const part = make("span", "gate");
      part.append(`${model.experts[number]} ${share}`);
      const bar = make("span", `bar t${number % 6}`);
      bar.style.inlineSize = share;
      part.append(bar);
      line.append(part);
    });
    return line;
  }

  function card(session, model, answer) {
    const box = make("article", `card ${answer.verdict}`);
    const head = make("h3", "card-head");
    head.append(make("span", `verdict ${answer.verdict}`, `${SIGNS[answer.verdict]} ${WORDS[answer.verdict]}`));
    const name = make("span", "session", "session ");
    name.append(make("bdi", "", session.id));
    head.append(name);
    const facts = make("p", "card-facts");
    facts.textContent = `${session.titles.length} items · MatchedF1 ${answer.score.toFixed(2)} · ` +
      `agreement of samples ${Math.round(answer.agreement * 100)}%`;
    box.append(head, facts);
    if (model.experts.length > 1) box.append(gates(model, answer));
    const inGold = (place) => session.gold.flatMap((bundle, number) => (bundle.includes(place) ? [number] : []));
    const sides = make("div", "sides");
    sides.append(
      column("Predicted", session, answer.bundles, (places, number) =>
        [`Bundle ${number + 1}`, judge(places, session.gold), ""], inGold),
      column("Gold", session, session.gold, (places, number) =>
        [`Gold ${letter(number)}`, session.intents[number], `t${number % 6}`], () => []),
    );
    box.append(sides);
    return box;
  }

  function matching(model) {
    const wanted = new Set([...form.querySelectorAll("[name=verdict]:checked")].map((box) => box.value));
    const least = Number(by("least").value) || 0, most = Number(by("most").value) || Infinity;
    const words = by("words").value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const found = data.sessions.map((session, place) => [session, model.answers[place]]).filter(([session, answer]) => {
      const length = session.titles.length;
      const titles = session.titles.join("\n").toLocaleLowerCase();
      return wanted.has(answer.verdict) && length >= least && length <= most && words.every((word) => titles.includes(word));
    });
    const keys = { worst: (answer) => answer.score, best: (answer) => -answer.score, unsure: (answer) => answer.agreement };
    const key = keys[by("order").value];
    return key ? found.sort((left, right) => key(left[1]) - key(right[1])) : found;
  }

  function show() {
    const model = data.models[Number(by("model").value)];
    const found = matching(model);
    const cards = found.map(([session, answer], place) => {
      const node = card(session, model, answer);
      node.classList.toggle("later", place >= shown); // printed all the same
      return node;
    });
    by("cards").replaceChildren(...cards);
    by("more").hidden = found.length <= shown;
    by("count").textContent = `${found.length} of ${data.sessions.length} sessions, answered by ${model.name} (seed ${model.seed})` +
      (found.length ? "" : ". Loosen a filter to see some.");
  }

  function again() {
    shown = PAGE;
    show();
  }

  data.models.forEach((model, number) => {
    const option = make("option", "", model.name);
    option.value = String(number);
    by("model").append(option);
  });
  form.addEventListener("input", again);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(again)); // after the fields have changed
  by("more").addEventListener("click", () => {
    const next = shown;
    shown += PAGE;
    show();
    // The button moves down or goes away: a keyboard goes on at the first new session.
    const first = by("cards").children[next];
    first.tabIndex = -1;
    first.focus();
  });
  show();
})();
