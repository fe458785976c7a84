/* The reference page: shows the contract, logs in, and sends the token with every call tried from it. */
'use strict';
(function () {
  /** @type {{token: string, refresh: string, dies: number} | null} */
  let session = null;
  /** @type {Promise<void> | null} */
  let renewing = null;
  /** Username and password of a log-in whose grant is still being chosen; never kept longer. */
  let asked = null;
  const EARLY_MS = 60000;
  let loaded = false;
  const $ = (id) => document.getElementById(id);

  function say(text, isError) {
    $('message').textContent = text;
    $('message').classList.toggle('error', Boolean(isError));
  }

  function show() {
    $('login').hidden = session !== null || asked !== null;
    $('choose').hidden = asked === null;
    $('logout').hidden = session === null;
  }

  /* The form would send the examples of optional parameters as if someone had written them: a filter, a key used before. */
  function leaveExamplesOut(text) {
    return JSON.stringify(JSON.parse(text, (key, value) => {
      if (value !== null && typeof value === 'object' && typeof value.in === 'string' && typeof value.name === 'string' &&
          (value.in === 'header' || (value.in === 'query' && !value.required))) {
        delete value.example;
      }
      return value;
    }));
  }

  /* One chapter is open at a time: with all of the operations drawn at once the renderer loses its place. */
  const oneChapter = () => ({
    statePlugins: {
      layout: {
        wrapActions: {
          show: (original, system) => (thing, shown) => {
            if (shown && thing.length === 2 && thing[0] === 'operations-tag') {
              system.specSelectors.taggedOperations().keySeq().forEach((tag) => {
                if (tag !== thing[1] && system.layoutSelectors.isShown(['operations-tag', tag], false)) {
                  original(['operations-tag', tag], false);
                }
              });
            }
            return original(thing, shown);
          },
        },
      },
    },
  });

  const ui = window.SwaggerUIBundle({
    plugins: [oneChapter],
    url: '/openapi.json',
    responseInterceptor: (response) => {
      if (!loaded && response.ok && new URL(response.url, location.href).pathname === '/openapi.json') {
        loaded = true;
        response.text = leaveExamplesOut(response.text);
      }
      return response;
    },
    dom_id: '#reference',
    deepLinking: true,
    docExpansion: 'none',
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    filter: true,
    tryItOutEnabled: true,
    validatorUrl: null,
    requestInterceptor: async (request) => {
      const before = session !== null ? 'Bearer ' + session.token : null;
      if (before !== null && !request.loadSpec) {
        await renew();
      }
      const sameOrigin = new URL(request.url, location.href).origin === location.origin;
      if (session !== null && sameOrigin && !request.loadSpec &&
          (!request.headers.Authorization || request.headers.Authorization === before)) {
        request.headers.Authorization = 'Bearer ' + session.token;
      }
      return request;
    },
  });

  async function post(url, type, body) {
    return fetch(url, { method: 'POST', headers: { 'Content-Type': type, 'Accept-Language': 'vi' }, body });
  }

  function keep(body) {
    session = { token: body.access_token, refresh: body.refresh_token, dies: Date.now() + body.expires_in * 1000 };
    ui.preauthorizeApiKey('bearer', session.token);
  }

  function forget() {
    session = null;
    ui.authActions.logout(['bearer']);
    show();
  }

  /* A token lasts ten minutes, a session much longer: shortly before the token's end the next one is had, by one request at a time. */
  function renew() {
    if (renewing === null && session !== null && Date.now() > session.dies - EARLY_MS) {
      renewing = post('/oauth2/token', 'application/x-www-form-urlencoded',
        new URLSearchParams({ grant_type: 'refresh_token', refresh_token: session.refresh }))
        .then(async (answer) => {
          if (answer.ok) {
            keep(await answer.json());
          } else if (answer.status < 500 && answer.status !== 429) {
            forget();
            say('Phiên làm việc đã kết thúc. Hãy đăng nhập lại.', true);
          }
        })
        .catch(() => undefined)
        .finally(() => { renewing = null; });
    }
    return renewing || Promise.resolve();
  }

  const seat = (grant) => grant.organization.name + ' (' + grant.role + ')';

  async function revoke(token) {
    await post('/oauth2/revoke', 'application/x-www-form-urlencoded', new URLSearchParams({ token })).catch(() => undefined);
  }

  async function logIn(credentials) {
    say('Đang đăng nhập…');
    try {
      const answer = await post('/v1/sessions', 'application/json', JSON.stringify(credentials));
      const body = await answer.json();
      if (!answer.ok) {
        say(body.detail || body.title, true);
        return null;
      }
      say('');
      return body;
    } catch (error) {
      say('Không kết nối được với dịch vụ.', true);
      return null;
    }
  }

  function enter(username, body) {
    keep(body);
    const grant = (body.grants || []).find((g) => g.id === body.grant);
    $('who').textContent = username + (grant ? ' – ' + seat(grant) : '');
    $('password').value = '';
    asked = null;
    show();
  }

  $('login').addEventListener('submit', async (event) => {
    event.preventDefault();
    const credentials = { username: $('username').value, password: $('password').value };
    const body = await logIn(credentials);
    if (body === null) {
      return;
    }
    if (body.grants.length < 2) {
      enter(credentials.username, body);
      return;
    }
    asked = { ...credentials, first: body };
    $('grant').replaceChildren(...body.grants.map((g) => new Option(seat(g), g.id, g.id === body.grant, g.id === body.grant)));
    show();
  });

  /* The session of the log-in stands for the first grant; another one needs a session of its own. */
  $('choose').addEventListener('submit', async (event) => {
    event.preventDefault();
    const { username, password, first } = asked;
    const grant = $('grant').value;
    if (grant === first.grant) {
      enter(username, first);
      return;
    }
    const body = await logIn({ username, password, grant });
    if (body !== null) {
      enter(username, body);
      await revoke(first.refresh_token);
    }
  });

  $('logout').addEventListener('submit', async (event) => {
    event.preventDefault();
    const refresh = session.refresh;
    forget();
    say('Đã đăng xuất.');
    await revoke(refresh);
  });

  show();
})();
