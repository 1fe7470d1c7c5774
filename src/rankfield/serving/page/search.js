// Images by drop, paste or pick; numbers beside sliders; short addresses. Without it the form works.
'use strict';
const form = document.getElementById('search');
const told = document.getElementById('told');

// beside the results where there is room, closed above them where there is none
form.querySelector('.filters').open = matchMedia('(min-width: 48.01rem)').matches;

form.addEventListener('input', (event) => {
  if (event.target.name !== 'weight') return;
  const number = Number(event.target.value);
  event.target.parentElement.querySelector('output').textContent = (number < 0 ? '' : '+') + number.toFixed(2);
});
form.addEventListener('change', (event) => {
  if (['checkbox', 'range'].includes(event.target.type) && !isNewPart(event.target)) form.requestSubmit();
});
form.addEventListener('formdata', (event) => {
  const data = event.formData;
  const kinds = data.getAll('kind'), parts = data.getAll('part'), weights = data.getAll('weight');
  for (const name of ['kind', 'part', 'weight']) data.delete(name);
  parts.forEach((part, i) => {
    if (!part.trim()) return;
    data.append('kind', kinds[i]);
    data.append('part', part);
    data.append('weight', String(Math.round(Number(weights[i]) * 100) / 100));
  });
  for (const [name, value] of [...data.entries()]) {
    if (value === '' || (name === 'diversity' && value === '0')) data.delete(name);
  }
});

function isNewPart(input) {
  const row = input.closest('.parts li');
  return row !== null && row.querySelector('[name=part]').value.trim() === '';
}

if (form.dataset.images) {
  const pick = form.querySelector('.pick');
  pick.hidden = false;
  pick.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      pick.querySelector('input').click();
    }
  });
  pick.querySelector('input').addEventListener('change', (event) => add(event.target.files));
  document.addEventListener('paste', (event) => {
    if (event.clipboardData.files.length) {
      event.preventDefault();
      add(event.clipboardData.files);
    }
  });
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    document.body.classList.add('dropping');
  });
  document.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) document.body.classList.remove('dropping');
  });
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    document.body.classList.remove('dropping');
    add(event.dataTransfer.files);
  });
}

async function add(files) {
  const file = [...files].find((one) => one.type.startsWith('image/'));
  if (!file) {
    told.textContent = 'That is no image.';
    return;
  }
  told.textContent = 'Sending the image…';
  try {
    const image = await new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.onerror = () => reject(reader.error);
      reader.readAsDataURL(file);
    });
    const answer = await fetch('/page/image', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ image }),
    });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error.message);
    const data = new URLSearchParams(new FormData(form));
    data.append('kind', 'image');
    data.append('part', found.image);
    data.append('weight', '1');
    location.assign('/?' + data);
  } catch (error) {
    told.textContent = 'The image cannot be used: ' + error.message;
  }
}
