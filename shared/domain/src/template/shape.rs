//! Which templates are taken: those of which it can be seen that they come to no more than a little more than what they speak of.
//!
//! What could multiply is refused: text that is put together and named (`{% set x = [x, x] %}`, blocks that are captured, macros, calls),
//! text times a number, loops that call themselves. So are tags so long or so many that reading them alone would take the stack.

use std::collections::BTreeSet;

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt, UnaryOpKind};
use minijinja::machinery::{Span, Token, parse, parse_expr, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::{TemplateFault, filters};

/// Words and signs in one tag: expressions nest by them.
const TAG_TOKENS: usize = 300;
/// Branches of all conditions: each nests in the one before it.
const BRANCHES: usize = 100;
/// Parts cut out of texts and lists.
const SLICES: usize = 20;
/// What can be asked with `is`.
const TESTS: &[&str] = &[
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "even",
    "false",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "int",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
    "upper",
];

type Outcome = Result<(), TemplateFault>;

fn refuse(at: Span, message: impl Into<String>) -> Outcome {
    Err(TemplateFault { line: usize::from(at.start_line).max(1), message: message.into() })
}

pub(super) fn check(source: &str) -> Outcome {
    check_tokens(source, false)?;
    let template = parse(source, "<template>", SyntaxConfig::default())?;
    let mut walk = Walk::default();
    walk.names(&template);
    walk.statement(&template)
}

pub(super) fn check_expression(source: &str) -> Outcome {
    check_tokens(source, true)?;
    Walk::default().expression(&parse_expr(source)?, Place::Open)
}

fn check_tokens(source: &str, expression: bool) -> Outcome {
    let (mut in_tag, mut branches) = (0, 0);
    for token in tokenize(source, expression, SyntaxConfig::default()) {
        // What cannot be read is the parser's to say.
        let Ok((token, at)) = token else { return Ok(()) };
        match token {
            Token::TemplateData(_) | Token::VariableStart | Token::BlockStart => in_tag = 0,
            Token::Ident("elif") => branches += 1,
            _ => in_tag += 1,
        }
        if in_tag > TAG_TOKENS {
            return refuse(at, format!("has more than {TAG_TOKENS} words and signs in one tag"));
        }
        if branches > BRANCHES {
            return refuse(at, format!("has more than {BRANCHES} `elif`"));
        }
    }
    Ok(())
}

/// Where an expression stands.
#[derive(Clone, Copy)]
enum Place {
    Open,
    /// It is given a name.
    Named,
    /// In a list or an object that is given a name.
    InNamedList,
}

#[derive(Default)]
struct Walk<'a> {
    /// Names that the template itself gives.
    given: BTreeSet<&'a str>,
    slices: usize,
}

impl<'a> Walk<'a> {
    fn names(&mut self, statement: &Stmt<'a>) {
        match statement {
            Stmt::Template(template) => template.children.iter().for_each(|child| self.names(child)),
            Stmt::ForLoop(each) => {
                self.target(&each.target);
                each.body.iter().chain(&each.else_body).for_each(|child| self.names(child));
            }
            Stmt::IfCond(cond) => cond.true_body.iter().chain(&cond.false_body).for_each(|child| self.names(child)),
            Stmt::WithBlock(with) => {
                with.assignments.iter().for_each(|(target, _)| self.target(target));
                with.body.iter().for_each(|child| self.names(child));
            }
            Stmt::Set(set) => self.target(&set.target),
            Stmt::AutoEscape(block) => block.body.iter().for_each(|child| self.names(child)),
            _ => {}
        }
    }

    fn target(&mut self, target: &Expr<'a>) {
        match target {
            Expr::Var(var) => drop(self.given.insert(var.id)),
            Expr::List(list) => list.items.iter().for_each(|item| self.target(item)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.target(item)),
            _ => {}
        }
    }

    fn statements(&mut self, statements: &[Stmt<'a>]) -> Outcome {
        statements.iter().try_for_each(|statement| self.statement(statement))
    }

    fn statement(&mut self, statement: &Stmt<'a>) -> Outcome {
        let (tag, at) = match statement {
            Stmt::Template(template) => return self.statements(&template.children),
            Stmt::EmitExpr(emit) => return self.expression(&emit.expr, Place::Open),
            Stmt::EmitRaw(_) => return Ok(()),
            Stmt::ForLoop(each) if each.recursive => ("recursive", each.span()),
            Stmt::ForLoop(each) => {
                self.expression(&each.iter, Place::Named)?;
                each.filter_expr.iter().try_for_each(|filter| self.expression(filter, Place::Open))?;
                self.statements(&each.body)?;
                return self.statements(&each.else_body);
            }
            Stmt::IfCond(cond) => {
                self.expression(&cond.expr, Place::Open)?;
                self.statements(&cond.true_body)?;
                return self.statements(&cond.false_body);
            }
            Stmt::WithBlock(with) => {
                with.assignments.iter().try_for_each(|(_, value)| self.expression(value, Place::Named))?;
                return self.statements(&with.body);
            }
            Stmt::Set(set) => return self.expression(&set.expr, Place::Named),
            Stmt::AutoEscape(block) => {
                self.expression(&block.enabled, Place::Open)?;
                return self.statements(&block.body);
            }
            Stmt::SetBlock(block) => ("set ... endset", block.span()),
            Stmt::FilterBlock(block) => ("filter", block.span()),
            Stmt::Block(block) => ("block", block.span()),
            Stmt::Import(import) => ("import", import.span()),
            Stmt::FromImport(import) => ("from", import.span()),
            Stmt::Extends(extends) => ("extends", extends.span()),
            Stmt::Include(include) => ("include", include.span()),
            Stmt::Macro(own) => ("macro", own.span()),
            Stmt::CallBlock(call) => ("call", call.span()),
            Stmt::Do(call) => ("do", call.span()),
        };
        refuse(at, format!("`{tag}` cannot be used here"))
    }

    fn arguments(&mut self, arguments: &[CallArg<'a>], place: Place) -> Outcome {
        arguments.iter().try_for_each(|argument| match argument {
            CallArg::Pos(value) | CallArg::Kwarg(_, value) | CallArg::PosSplat(value) | CallArg::KwargSplat(value) => {
                self.expression(value, place)
            }
        })
    }

    fn expression(&mut self, expr: &Expr<'a>, place: Place) -> Outcome {
        let within = if matches!(place, Place::Open) { Place::Open } else { Place::InNamedList };
        let all = |walk: &mut Self, items: &[Expr<'a>]| items.iter().try_for_each(|item| walk.expression(item, within));
        match expr {
            Expr::Var(var) if matches!(place, Place::InNamedList) && self.given.contains(var.id) => refuse(
                var.span(),
                format!("`{}` is a name of the template's own; it cannot be put into a list that gets a name", var.id),
            ),
            Expr::Var(_) | Expr::Const(_) => Ok(()),
            Expr::Slice(slice) => {
                self.slices += 1;
                if self.slices > SLICES {
                    return refuse(slice.span(), format!("cuts more than {SLICES} parts out"));
                }
                let bounds = [&slice.start, &slice.stop, &slice.step];
                self.expression(&slice.expr, place)?;
                bounds.into_iter().flatten().try_for_each(|bound| self.expression(bound, place))
            }
            Expr::UnaryOp(op) => self.expression(&op.expr, place),
            Expr::BinOp(op) => {
                self.expression(&op.left, place)?;
                self.expression(&op.right, place)?;
                let numbers = [&op.left, &op.right].into_iter().filter(|side| is_number(side)).count();
                match op.op {
                    BinOpKind::Concat => refuse(op.span(), "`~` cannot be used here; write the values one after the other"),
                    // A text and a number cannot be added, and fail.
                    BinOpKind::Add if numbers == 0 => {
                        refuse(op.span(), "`+` adds numbers: say so of one that is no constant, as in `a|float + b`")
                    }
                    BinOpKind::Mul if numbers < 2 => {
                        refuse(op.span(), "`*` is for numbers: say so of what is no constant, as in `a|float * 2`")
                    }
                    _ => Ok(()),
                }
            }
            Expr::Compare(compare) => {
                self.expression(&compare.expr, place)?;
                compare.ops.iter().try_for_each(|op| self.expression(&op.expr, place))
            }
            Expr::IfExpr(choice) => {
                self.expression(&choice.test_expr, place)?;
                self.expression(&choice.true_expr, place)?;
                choice.false_expr.iter().try_for_each(|otherwise| self.expression(otherwise, place))
            }
            Expr::Filter(filter) => {
                if !filters::KNOWN.contains(&filter.name) {
                    let known = filters::KNOWN.join(", ");
                    return refuse(filter.span(), format!("unknown filter `{}`; known are {known}", filter.name));
                }
                filter.expr.iter().try_for_each(|value| self.expression(value, place))?;
                self.arguments(&filter.args, place)
            }
            Expr::Test(test) => {
                if !TESTS.contains(&test.name) {
                    return refuse(test.span(), format!("unknown test `{}`; known are {}", test.name, TESTS.join(", ")));
                }
                self.expression(&test.expr, place)?;
                self.arguments(&test.args, place)
            }
            Expr::GetAttr(get) => self.expression(&get.expr, place),
            Expr::GetItem(get) => {
                self.expression(&get.expr, place)?;
                self.expression(&get.subscript_expr, place)
            }
            Expr::Call(call) => refuse(call.span(), "functions cannot be called here"),
            Expr::List(list) => all(self, &list.items),
            Expr::Tuple(tuple) => all(self, &tuple.items),
            Expr::Map(map) => {
                all(self, &map.keys)?;
                all(self, &map.values)
            }
        }
    }
}

/// Whether it is seen from the expression alone that it comes to a number, or fails.
fn is_number(expr: &Expr<'_>) -> bool {
    match expr {
        Expr::Const(constant) => constant.value.is_number(),
        Expr::Filter(filter) => filters::NUMERIC.contains(&filter.name),
        Expr::UnaryOp(op) => matches!(op.op, UnaryOpKind::Neg),
        Expr::BinOp(op) => matches!(
            op.op,
            BinOpKind::Add
                | BinOpKind::Sub
                | BinOpKind::Mul
                | BinOpKind::Div
                | BinOpKind::FloorDiv
                | BinOpKind::Rem
                | BinOpKind::Pow
        ),
        _ => false,
    }
}
