"""Errors as answers: raise them anywhere, and say in one place what clients see.

python examples/errors.py

curl -i http://127.0.0.1:8000/accounts/7                 # HttpError: 404 as a problem document
curl -i -X POST http://127.0.0.1:8000/accounts/1/pay?amount=900   # an error of your own: 409
curl -i -X POST http://127.0.0.1:8000/accounts/one/pay?amount=x   # names every bad parameter
curl -i http://127.0.0.1:8000/nowhere                    # a handler for a status
"""

from tarry import App, BadParameters, HttpError, Request

app = App()
balances = {1: 100}


class NotEnoughMoney(Exception):
    """An error of the domain, which knows nothing of HTTP."""


@app.get("/accounts/{number}")
def account(number: int) -> dict[str, int]:
    if number not in balances:
        raise HttpError(404, f"there is no account {number}", extra={"known": len(balances)})
    return {"balance": balances[number]}


@app.post("/accounts/{number}/pay")
def pay(number: int, amount: int) -> dict[str, int]:
    if amount > balances[number]:
        raise NotEnoughMoney(f"{balances[number]} is less than {amount}")
    balances[number] -= amount
    return {"balance": balances[number]}


@app.error(NotEnoughMoney)
def not_enough_money(error: NotEnoughMoney) -> tuple[int, dict[str, str]]:
    """By type; the status is part of the result."""
    return 409, {"problem": "not enough money", "detail": str(error)}


@app.error(BadParameters)
def bad_parameters(error: BadParameters) -> dict[str, list[str]]:
    """By type as well; without one in the result the status stays, here 400."""
    return {"bad": [f"{fault['name']}: {fault['reason']}" for fault in error.faults]}


@app.error(404)
def not_found(error: HttpError, request: Request) -> str:
    """By status."""
    return f"{request.path}: {error.detail}\n"


if __name__ == "__main__":
    app.run()
