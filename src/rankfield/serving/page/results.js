// Takes a snapshot and says how far it is. What is there is shown and compared without it.
'use strict';
const form = document.getElementById('take');
const told = document.getElementById('told');
const failed = document.getElementById('failed');

function fail(message) {
  told.textContent = '';
  failed.textContent = message;
  failed.hidden = false;
  form.querySelector('button').disabled = false;
}
async function answered(path, options) {
  const answer = await fetch(path, options);
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error.message);
  return found;
}
async function follow(job) {
  form.querySelector('button').disabled = true;
  for (;;) {
    const state = await answered('/results/job');
    if (state.job !== job || state.snapshot) break;
    if (state.error) throw new Error(state.error);
    told.textContent = `${state.done} of ${state.total} queries`;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  location.reload();
}

if (form) {
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    failed.hidden = true;
    told.textContent = 'Beginning…';
    const body = {
      index: form.elements.index.value,
      queries: form.elements.queries.value,
      diversity: Number(form.elements.diversity.value),
      hybrid: form.elements.hybrid.checked,
      note: form.elements.note.value,
    };
    try {
      const begun = await answered('/results/snapshots', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      await follow(begun.job);
    } catch (error) {
      fail('No snapshot: ' + error.message);
    }
  });
  if (told.dataset.job) follow(told.dataset.job).catch((error) => fail('No snapshot: ' + error.message));
}
