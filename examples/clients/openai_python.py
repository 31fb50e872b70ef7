import json
import os
import urllib.request

from openai import OpenAI

sidecar = os.environ.get("SIDECAR", "http://127.0.0.1:8787")
model = os.environ.get("MODEL", "qis-practice")

client = OpenAI(base_url=f"{sidecar}/v1", api_key="none")
raw = client.chat.completions.with_raw_response.create(
    model=model,
    messages=[{"role": "user", "content": "How much ibuprofen may an adult take per day?"}],
)
print(raw.parse().choices[0].message.content)
print("confidence", raw.headers.get("x-qis-confidence", "unknown"), "evidence", raw.headers.get("x-qis-evidence", "none"))

feedback = {"receipt": raw.headers["x-qis-receipt"], "rating": "down", "correction": {"type": "factual"}}
request = urllib.request.Request(
    f"{sidecar}/qis/feedback",
    data=json.dumps(feedback).encode(),
    headers={"content-type": "application/json"},
)
with urllib.request.urlopen(request, timeout=10) as response:
    print("feedback", json.load(response)["status"])
