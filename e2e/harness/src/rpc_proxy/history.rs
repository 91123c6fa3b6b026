//! Answers of an earlier time, and the limits of providers.

use anyhow::Result;
use serde_json::{Value, json};

use super::Shared;

/// Where a method's block is among its parameters.
const BLOCK_AT: [(&str, usize); 10] = [
    ("eth_getBlockByNumber", 0),
    ("eth_getBlockReceipts", 0),
    ("eth_getBlockTransactionCountByNumber", 0),
    ("eth_call", 1),
    ("eth_estimateGas", 1),
    ("eth_feeHistory", 1),
    ("eth_getBalance", 1),
    ("eth_getCode", 1),
    ("eth_getTransactionCount", 1),
    ("eth_getStorageAt", 2),
];

impl Shared {
    /// The node's answer, as of the blocks ago that the proxy is set to.
    pub(super) async fn history(&self, mut request: Value) -> Result<Value> {
        let (behind, log_range) = {
            let state = self.state();
            (state.behind, state.log_range)
        };
        let id = request["id"].clone();
        let method = request["method"].as_str().unwrap_or_default().to_owned();
        if behind.is_none() && (log_range.is_none() || method != "eth_getLogs") {
            return self.forward(&request).await;
        }
        let end = self.newest().await.saturating_sub(behind.unwrap_or_default());
        let refused = |code: i64, message: String| {
            let error = json!({"code": code, "message": message});
            json!({"jsonrpc": "2.0", "id": id, "error": error})
        };
        if method == "eth_getLogs"
            && let Some(filter) = request["params"].get_mut(0)
        {
            if log_range.is_some_and(|most| width(filter, end) > most) {
                let most = log_range.unwrap_or_default();
                return Ok(refused(-32005, format!("ranges over {most} blocks are not supported")));
            }
            if behind.is_some() {
                let to = block(&filter["toBlock"], end).min(end);
                let from = block(&filter["fromBlock"], end);
                if from > end {
                    return Ok(json!({"jsonrpc": "2.0", "id": id, "result": []}));
                }
                filter["toBlock"] = json!(format!("{to:#x}"));
            }
            return self.forward(&request).await;
        }
        if method == "eth_blockNumber" {
            return Ok(json!({"jsonrpc": "2.0", "id": id, "result": format!("{end:#x}")}));
        }
        if let Some((_, at)) = BLOCK_AT.iter().find(|(name, _)| *name == method)
            && let Some(params) = request["params"].as_array_mut()
        {
            if params.len() == *at {
                params.push(json!("latest"));
            }
            let asked = params.get(*at).cloned().unwrap_or_default();
            match (number(&asked), asked.as_str()) {
                (Some(number), _) if number > end => match method.as_str() {
                    "eth_getBlockByNumber" | "eth_getBlockReceipts" => {
                        return Ok(json!({"jsonrpc": "2.0", "id": id, "result": null}));
                    }
                    _ => return Ok(refused(-32000, "header not found".to_owned())),
                },
                (None, Some("latest" | "pending")) => params[*at] = json!(format!("{end:#x}")),
                (None, Some("finalized" | "safe")) => {
                    let tagged = self.ask("eth_getBlockByNumber", json!([asked, false])).await?;
                    let tagged = number(&tagged["number"]).unwrap_or_default().min(end);
                    params[*at] = json!(format!("{tagged:#x}"));
                }
                _ => {}
            }
        }
        let mut answer = self.forward(&request).await?;
        if let Some(result) = answer.get_mut("result")
            && number(&result["blockNumber"]).is_some_and(|number| number > end)
        {
            match method.as_str() {
                "eth_getTransactionReceipt" => *result = Value::Null,
                "eth_getTransactionByHash" => {
                    for member in ["blockNumber", "blockHash", "transactionIndex"] {
                        result[member] = Value::Null;
                    }
                }
                _ => {}
            }
        }
        Ok(answer)
    }
}

/// A quantity.
pub(super) fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

/// A block of a filter: a number, or a tag that means the end.
fn block(value: &Value, end: u64) -> u64 {
    match value.as_str() {
        Some("earliest") => 0,
        _ => number(value).unwrap_or(end),
    }
}

fn width(filter: &Value, end: u64) -> u64 {
    (block(&filter["toBlock"], end) + 1).saturating_sub(block(&filter["fromBlock"], end))
}
