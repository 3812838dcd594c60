/** Lint rules for notebook cells: a course about types must not switch types off. */
const plugin: Deno.lint.Plugin = {
  name: "cells",
  rules: {
    "honest-types": {
      create(context) {
        const cast = (node: Deno.lint.TSAsExpression | Deno.lint.TSTypeAssertion) => {
          const type = node.typeAnnotation;
          if (type.type === "TSTypeReference" && type.typeName.type === "Identifier") {
            if (type.typeName.name === "const") return;
          }
          context.report({ node, message: "a notebook has no type casts" });
        };
        return {
          TSAsExpression: cast,
          TSTypeAssertion: cast,
          TSAnyKeyword(node) {
            context.report({ node, message: "a notebook has no any" });
          },
        };
      },
    },
  },
};

export default plugin;
