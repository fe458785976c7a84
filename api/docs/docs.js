/* The reference page: shows the contract, logs in, and sends the token with every call tried from it. */
'use strict';
(function () {
  /** @type {{token: string, refresh: string} | null} */
  let session = null;
  let loaded = false;
  const $ = (id) => document.getElementById(id);

  function say(text, isError) {
    $('message').textContent = text;
    $('message').classList.toggle('error', Boolean(isError));
  }

  function show() {
    $('login').hidden = session !== null;
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

  const ui = window.SwaggerUIBundle({
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
    requestInterceptor: (request) => {
      const sameOrigin = new URL(request.url, location.href).origin === location.origin;
      if (session !== null && sameOrigin && !request.loadSpec && !request.headers.Authorization) {
        request.headers.Authorization = 'Bearer ' + session.token;
      }
      return request;
    },
  });

  async function post(url, type, body) {
    return fetch(url, { method: 'POST', headers: { 'Content-Type': type, 'Accept-Language': 'vi' }, body });
  }

  $('login').addEventListener('submit', async (event) => {
    event.preventDefault();
    say('Đang đăng nhập…');
    try {
      const username = $('username').value;
      const answer = await post('/v1/sessions', 'application/json',
        JSON.stringify({ username, password: $('password').value }));
      const body = await answer.json();
      if (!answer.ok) {
        say(body.detail || body.title, true);
        return;
      }
      session = { token: body.access_token, refresh: body.refresh_token };
      ui.preauthorizeApiKey('bearer', session.token);
      const grant = (body.grants || []).find((g) => g.id === body.grant);
      $('who').textContent = username + (grant ? ' – ' + grant.organization.name + ' (' + grant.role + ')' : '');
      $('password').value = '';
      say('');
      show();
    } catch (error) {
      say('Không kết nối được với dịch vụ.', true);
    }
  });

  $('logout').addEventListener('submit', async (event) => {
    event.preventDefault();
    const refresh = session.refresh;
    session = null;
    ui.authActions.logout(['bearer']);
    show();
    say('Đã đăng xuất.');
    await post('/oauth2/revoke', 'application/x-www-form-urlencoded', new URLSearchParams({ token: refresh }))
      .catch(() => undefined);
  });

  show();
})();
