"""The reference page in a real browser: it loads, a person logs in, a call is tried and answered."""
import json
import os
import pathlib
import shutil
import tempfile

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions as is_now
from selenium.webdriver.support.ui import WebDriverWait

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1280,1600", "--lang=vi"]


@pytest.fixture(scope="module")
def pictures():
    path = pathlib.Path(os.environ.get("TIENDO_PICTURES") or tempfile.mkdtemp(prefix="tiendo-pictures-"))
    path.mkdir(parents=True, exist_ok=True)
    yield path
    if "TIENDO_PICTURES" not in os.environ:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def browser(world, directory):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in [*FLAGS, f"--user-data-dir={directory}/chromium"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(service=Driver(shutil.which("chromedriver")), options=options)
    made.set_page_load_timeout(180)
    yield made
    made.quit()


@pytest.fixture(scope="module")
def page(browser, world):
    browser.get(f"http://127.0.0.1:{world.service.port}/docs")
    browser.chapters = {}
    for operation in world.contract.operations.values():
        browser.chapters.setdefault(operation.node["tags"][0], []).append((operation.method, operation.path))
    WebDriverWait(browser, 180).until(lambda b: len(b.find_elements(By.CSS_SELECTOR, ".opblock-tag")) == len(browser.chapters))
    return browser


def wait(browser, condition, seconds=180):
    return WebDriverWait(browser, seconds).until(condition)


def open_chapter(page, tag):
    """Opens it if it is closed, and waits until all its operations are drawn."""
    wait(page, lambda b: b.execute_script(
        "const heading = document.getElementById('operations-tag-' + arguments[0]); if (heading.dataset.isOpen === 'false') { heading.click(); return false; }"
        " return heading.parentElement.querySelectorAll('.opblock').length === arguments[1]", tag, len(page.chapters[tag])), 60)


def log_in(page, world, username, password=None):
    page.find_element(By.ID, "username").clear()
    page.find_element(By.ID, "username").send_keys(username)
    page.find_element(By.ID, "password").send_keys(password or world.passwords[username])
    page.find_element(By.CSS_SELECTOR, "#login button").click()


def test_every_operation_is_shown(page, world, pictures):
    page.save_screenshot(str(pictures / "docs.png"))
    shown = 0
    for tag in page.chapters:
        open_chapter(page, tag)
        wait(page, lambda b: len(b.find_elements(By.CSS_SELECTOR, ".opblock-tag[data-is-open=true]")) == 1, 30)  # one at a time
        shown += len(page.find_elements(By.CSS_SELECTOR, ".opblock"))
    assert shown == len(world.contract.operations) and len(page.find_elements(By.CSS_SELECTOR, ".opblock-tag")) == len(page.chapters)
    assert "Tiendo" in page.find_element(By.CSS_SELECTOR, ".info .title").text


def test_nothing_is_fetched_from_elsewhere(page, world):
    origins = page.execute_script("return [...new Set(performance.getEntriesByType('resource').map(e => new URL(e.name, location.href)).filter("
                                  "u => u.protocol.startsWith('http')).map(u => u.origin))]")
    assert origins == [f"http://127.0.0.1:{world.service.port}"]


def test_no_other_host_is_asked(page, world):
    """By the browser's own account of its network: whatever was loaded, prefetched or tried."""
    asked = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in asked if m["method"] == "Network.requestWillBeSent"]
    assert len(urls) >= 5
    assert {u.split("/")[2] for u in urls if u.startswith("http")} == {f"127.0.0.1:{world.service.port}"}
    assert all(u.startswith(("http://", "data:", "blob:", "chrome://", "about:")) for u in urls), urls


def test_a_wrong_password_is_told(page, world):
    log_in(page, world, "aa-w1.reporter", "sai mật khẩu")
    wait(page, lambda b: b.find_element(By.CSS_SELECTOR, "#message.error").text)
    assert page.find_element(By.ID, "login").is_displayed()


def open_call(page, path, method="GET"):
    """The opened block of an operation, ready to be tried."""
    open_chapter(page, next(tag for tag, operations in page.chapters.items() if (method, path) in operations))
    block = next(b for b in page.find_elements(By.CSS_SELECTOR, f".opblock-{method.lower()}")
                 if b.find_element(By.CSS_SELECTOR, ".opblock-summary-path").text.replace("\u200b", "") == path)
    # The page's own heading stays at the top, so what is clicked is brought to the middle.
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", block)
    block.find_element(By.CSS_SELECTOR, ".opblock-summary-control, .opblock-summary").click()
    wait(page, lambda b: block.find_elements(By.CSS_SELECTOR, "button.execute"))
    return block


def try_call(page, block):
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", block.find_element(By.CSS_SELECTOR, "button.execute"))
    block.find_element(By.CSS_SELECTOR, "button.execute").click()
    wait(page, lambda b: block.find_elements(By.CSS_SELECTOR, ".live-responses-table .response-col_status"))
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", block.find_element(By.CSS_SELECTOR, ".live-responses-table"))
    return block.find_element(By.CSS_SELECTOR, ".live-responses-table").text


def test_a_person_logs_in_and_tries_a_call(page, world, pictures):
    page.find_element(By.ID, "password").clear()
    log_in(page, world, "aa-w1.reporter")
    wait(page, lambda b: "Đảng ủy phường Hòa Bình" in b.find_element(By.ID, "who").text)
    answer = try_call(page, open_call(page, "/v1/me"))
    page.save_screenshot(str(pictures / "answer.png"))
    assert answer.count("200") and "aa-w1.reporter" in answer, answer[:500]


def test_a_list_tried_as_it_stands_is_not_narrowed(page, world, pictures):
    """Examples of optional filters and headers are not sent unless someone writes them."""
    block = open_call(page, "/v1/organizations")
    answer = try_call(page, block)
    page.save_screenshot(str(pictures / "list.png"))
    assert "AA-W1-C1" in answer and "Chi bộ khu phố 1" in answer, answer[:500]
    url = block.find_element(By.CSS_SELECTOR, ".request-url").text
    assert url.split("?")[-1].strip() == "sort=tree&limit=50", "the defaults, and nothing else"


def test_no_key_is_given_beforehand(page, world):
    """Two calls tried one after the other are two: an Idempotency-Key is there only when someone writes one."""
    block = open_call(page, "/v1/organizations", "POST")
    rows = [r for r in block.find_elements(By.CSS_SELECTOR, "tr[data-param-in=header]")]
    assert rows and all(i.get_attribute("value") == "" for r in rows for i in r.find_elements(By.CSS_SELECTOR, "input[type=text]"))


def test_the_log_in_outlasts_its_token(page, world):
    """Shortly before a token's end the page has the next one, and the person goes on."""
    page.execute_script("const now = Date.now; Date.now = () => now() + 590000; performance.clearResourceTimings()")
    answer = try_call(page, open_call(page, "/v1/me/sessions"))
    assert "200" in answer and '"current": true' in answer, answer[:500]
    asked = page.execute_script("return performance.getEntriesByType('resource').map(e => new URL(e.name).pathname)")
    assert asked.index("/oauth2/token") < asked.index("/v1/me/sessions")


def test_logging_out_ends_the_session(page, world):
    page.execute_script("window.scrollTo(0, 0)")
    page.find_element(By.CSS_SELECTOR, "#logout button").click()
    wait(page, lambda b: b.find_element(By.ID, "login").is_displayed())
    assert page.find_element(By.ID, "message").text == "Đã đăng xuất."


def test_who_holds_several_grants_chooses_one(page, world, pictures):
    world.account(world.at("AA-TU", "administrator"), "aa.hai-vai", ("AA-W1", "viewer"), ("AA-W2", "approver"))
    for wanted in ("Đảng ủy xã Đại Phước (approver)", "Đảng ủy phường Hòa Bình (viewer)"):
        log_in(page, world, "aa.hai-vai")
        wait(page, lambda b: b.find_element(By.ID, "choose").is_displayed())
        options = [o.text for o in page.find_elements(By.CSS_SELECTOR, "#grant option")]
        assert options == ["Đảng ủy phường Hòa Bình (viewer)", "Đảng ủy xã Đại Phước (approver)"]
        page.save_screenshot(str(pictures / "choose.png"))
        next(o for o in page.find_elements(By.CSS_SELECTOR, "#grant option") if o.text == wanted).click()
        page.find_element(By.CSS_SELECTOR, "#choose button").click()
        wait(page, lambda b, wanted=wanted: wanted in b.find_element(By.ID, "who").text)
        page.find_element(By.CSS_SELECTOR, "#logout button").click()
        wait(page, lambda b: b.find_element(By.ID, "login").is_displayed())


def test_the_console_is_clean(page):
    """The wrong password's 401 is the one thing a browser may complain of."""
    loud = [e for e in page.get_log("browser") if e["level"] == "SEVERE" and "/v1/sessions" not in e["message"]]
    assert loud == [], loud
