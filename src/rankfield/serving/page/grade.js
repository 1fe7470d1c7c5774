// Digits grade, arrows move, u cannot say, z undo, n next. A grade is shown once it is on the disk.
'use strict';
const list = document.getElementById('documents');
const items = [...list.children];
const told = document.getElementById('told');
const failed = document.getElementById('failed');
const begin = items.findIndex((one) => one.dataset.doc === list.dataset.begin);
let current = begin >= 0 ? begin : Math.max(items.findIndex((one) => !pressed(one)), 0);
let waiting = Promise.resolve();
let left = 0;

function pressed(item) {
  return item.querySelector('[aria-pressed=true]');
}
function show(item, button) {
  for (const one of item.querySelectorAll('.grades button')) one.setAttribute('aria-pressed', String(one === button));
  document.getElementById('done').textContent = items.filter(pressed).length;
}
function move(to, focus = true) {
  if (!items.length) return;
  items[current].classList.remove('current');
  current = Math.min(Math.max(to, 0), items.length - 1);
  items[current].classList.add('current');
  if (focus) {
    items[current].querySelector('h2').focus({ preventScroll: true });
    items[current].scrollIntoView({ block: 'nearest' });
  }
}
async function send(path, body) {
  const answer = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error.message);
  return found;
}
// One after the other, so that what is undone is what was said last.
function later(work) {
  left += 1;
  waiting = waiting.then(work).then(
    () => { failed.hidden = true; },
    (error) => {
      failed.textContent = 'Not kept: ' + error.message;
      failed.hidden = false;
    },
  ).then(() => { left -= 1; });
}
function grade(item, button) {
  const score = button.value === '' ? null : Number(button.value);
  later(async () => {
    await send('/grade/judgments', {
      query_id: list.dataset.query,
      doc_id: item.dataset.doc,
      score,
      rater: list.dataset.rater,
      query: list.dataset.title,
      found_by: JSON.parse(item.dataset.found),
      position: Number(item.dataset.place),
      blind: list.dataset.blind === '1',
    });
    show(item, button);
    told.textContent = item.querySelector('h2').textContent + ': ' + (button.getAttribute('aria-label') || button.textContent);
  });
  move(items.indexOf(item) + 1);
}
function undo() {
  later(async () => {
    const found = await send('/grade/undo', { rater: list.dataset.rater });
    const item = items.find((one) => one.dataset.doc === found.doc_id);
    if (found.query_id !== list.dataset.query || !item) {
      told.textContent = 'Undone: a judgment of another query.';
      return;
    }
    const value = found.score === null ? '' : String(found.score);
    const buttons = [...item.querySelectorAll('.grades button')];
    show(item, found.judged ? buttons.find((one) => (value === '' ? one.value === '' : one.value !== '' && Number(one.value) === found.score)) : null);
    told.textContent = 'Undone: ' + item.querySelector('h2').textContent;
    move(items.indexOf(item));
  });
}

list.addEventListener('click', (event) => {
  const button = event.target.closest('.grades button');
  if (button) grade(button.closest('li'), button);
});
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches('input, select, textarea')) return;
  const item = items[current];
  if (event.key === 'ArrowDown' || event.key === 'ArrowRight') move(current + 1);
  else if (event.key === 'ArrowUp' || event.key === 'ArrowLeft') move(current - 1);
  else if (event.key === 'z') undo();
  else if (event.key === 'n') {
    const next = document.getElementById('next');
    later(() => { if (next) location.assign(next.href); else told.textContent = 'This is the last query.'; });
  } else if (item) {
    const wanted = event.key === 'u' ? '?' : /^[0-9]$/.test(event.key) ? event.key : null;
    const button = wanted && [...item.querySelectorAll('.grades button')].find((one) => one.textContent === wanted);
    if (!button) return;
    grade(item, button);
  } else return;
  event.preventDefault();
});
window.addEventListener('beforeunload', (event) => { if (left > 1) event.preventDefault(); });
move(current, begin >= 0);
